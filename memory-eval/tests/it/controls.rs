//! What must not matter to advice hardly matters, on the small data set of this crate.

use std::path::Path;

use memory_eval::{Control, DataSet, Means, controls, read_tasks};

/// The most that the mean advice and the mean F1 may change.
const BOUNDS: [(Control, f64, f64); 8] = [
    (Control::ToolsRenamed, 0.05, 0.05),
    (Control::ToolsOpaque, 0.05, 0.05),
    (Control::ArgumentsRenamed, 0.05, 0.05),
    (Control::OrderPermuted, 0.20, 0.10),
    (Control::TextsRot13, 0.20, 0.10),
    (Control::DomainsMixed, 0.40, 0.25),
    (Control::NearDuplicates, 0.40, 0.25),
    (Control::ForeignDomain, 0.20, 0.10),
];

#[tokio::test(flavor = "multi_thread")]
async fn advice_changes_by_no_more_than_its_bounds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let data = DataSet::read(&folder.join("errands_train.jsonl"), &folder.join("errands_dev.jsonl")).unwrap();
    let foreign = read_tasks(&folder.join("servers_train.jsonl")).unwrap();
    let rows = controls(&data, &foreign, 1, &Means::default()).await.unwrap();
    assert_eq!(rows.len(), BOUNDS.len());
    let mut broken = Vec::new();
    for (row, (control, advice, f1)) in rows.iter().zip(BOUNDS) {
        assert_eq!(row.control, control);
        let (of_advice, of_f1) = (row.advice_change.unwrap(), row.f1_change.unwrap());
        println!("{:18} advice {:.3} f1 {:+.3}", control.name(), of_advice.value, of_f1.value);
        if of_advice.value > advice || of_f1.value.abs() > f1 {
            broken.push(row);
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
