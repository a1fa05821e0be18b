use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::model::heuristic::Advice;

const NOW: Timestamp = Timestamp(1_000_000_000);

/// A lesson of which the episode succeeded.
pub(crate) fn lesson(n: u64, text: &str, tools: &[&str]) -> Lesson {
    Lesson {
        id: EpisodeId(Uuid::from_u128(u128::from(n))),
        text: text.into(),
        domain: None,
        task_kind: "general".into(),
        tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
        failed_tools: Vec::new(),
        course: Vec::new(),
        success: 1.0,
        at: Timestamp(n * 60_000),
    }
}

/// A lesson of which the episode failed with these tools.
pub(crate) fn failure(n: u64, text: &str, tools: &[&str]) -> Lesson {
    let failed_tools = tools.iter().map(|tool| (*tool).to_owned()).collect();
    Lesson { tools: Vec::new(), failed_tools, success: 0.0, ..lesson(n, text, &[]) }
}

/// A lesson with its course: `a+` worked, `a-` failed.
pub(crate) fn went(n: u64, text: &str, course: &str, success: f64) -> Lesson {
    let calls: Vec<(&str, bool)> =
        course.split_whitespace().map(|call| (&call[..call.len() - 1], call.ends_with('+'))).collect();
    let (mut tools, mut failed_tools) = (Vec::<String>::new(), Vec::<String>::new());
    for (tool, _) in &calls {
        let named = if calls.contains(&(tool, true)) { &mut tools } else { &mut failed_tools };
        if !named.iter().any(|held| held == tool) {
            named.push((*tool).to_owned());
        }
    }
    let place = |tool: &str| tools.iter().chain(&failed_tools).position(|held| held == tool).unwrap() as u16;
    let course = calls.iter().map(|(tool, ok)| (place(tool), *ok)).collect();
    Lesson { tools, failed_tools, course, success, ..lesson(n, text, &[]) }
}

pub(crate) fn learn(lessons: &[Lesson]) -> Associations {
    associate(Some("d"), lessons, NOW, &BeliefConfig::default())
}

fn rules(known: &Associations) -> Vec<String> {
    let mut rules: Vec<String> = known
        .heuristics
        .iter()
        .map(|rule| {
            let sign = if rule.advice == Advice::Use { "" } else { "not " };
            format!("{}: {sign}{}", rule.condition, rule.tool)
        })
        .collect();
    rules.sort();
    rules
}

/// Tasks that name two things each, with a word that tells nothing.
fn mixed(count: u64) -> Vec<Lesson> {
    let asks = [("melt", "furnace"), ("paint", "brush"), ("weigh", "scale")];
    (0..count)
        .map(|n| {
            let (a, b) = (asks[(n % 3) as usize], asks[(n / 3 % 3) as usize]);
            let text = format!("Please {} the metal and {} the cup", a.0, b.0);
            let tools = if a == b { vec![a.1] } else { vec![a.1, b.1] };
            lesson(n, &text, &tools)
        })
        .collect()
}

#[test]
fn each_tool_is_left_with_the_word_that_calls_for_it() {
    let known = learn(&mixed(45));
    let expected = [
        "the task mentions melt: furnace",
        "the task mentions paint: brush",
        "the task mentions weigh: scale",
    ];
    let calls: Vec<String> = rules(&known).into_iter().filter(|rule| !rule.contains("used last")).collect();
    assert_eq!(calls, expected);
    let melt = known.heuristics.iter().find(|rule| rule.condition.terms == ["melt"]).unwrap();
    assert_eq!((melt.tally.successes, melt.tally.failures), (25, 0));
    assert!(melt.weight > 3.0 && melt.confidence > 0.85, "{melt:?}");
    assert_eq!(melt.supporting.len(), 16);
}

#[test]
fn a_kind_of_task_calls_for_a_tool() {
    let kind = |n: u64, kind: &str, tool: &str| Lesson {
        task_kind: kind.into(),
        ..lesson(
            n,
            &format!("Job {}", ["alpha", "beta", "gamma", "delta", "omega"][(n % 5) as usize]),
            &[tool],
        )
    };
    let lessons: Vec<Lesson> = (0..20)
        .map(|n| if n % 2 == 0 { kind(n, "audit", "ledger") } else { kind(n, "repair", "wrench") })
        .collect();
    let known = learn(&lessons);
    let found = rules(&known);
    for expected in ["it is audit: ledger", "it is repair: wrench"] {
        assert!(found.contains(&expected.to_owned()), "{found:?}");
    }
}

#[test]
fn tools_that_fail_are_advised_against_where_they_do() {
    let mut lessons: Vec<Lesson> = (0..20).map(|n| lesson(n, "Copy the small file", &["copy"])).collect();
    lessons.extend((20..26).map(|n| failure(n, "Copy the encrypted file", &["copy"])));
    assert!(rules(&learn(&lessons)).contains(&"the task mentions encrypted: not copy".to_owned()));
    // Failures that are as frequent everywhere tell nothing.
    let even: Vec<Lesson> = (0..30)
        .map(|n| {
            let text = if n % 2 == 0 { "Copy the encrypted file" } else { "Copy the small file" };
            if n % 5 == 0 { failure(n, text, &["copy"]) } else { lesson(n, text, &["copy"]) }
        })
        .collect();
    assert!(rules(&learn(&even)).iter().all(|rule| !rule.contains("not ")));
}

#[test]
fn what_comes_next_is_learned() {
    let lessons: Vec<Lesson> = (0..12)
        .map(|n| match n % 2 {
            0 => lesson(n, "Publish the report", &["open", "render", "send"]),
            _ => lesson(n, "Burn the report", &["open", "erase"]),
        })
        .collect();
    let found = rules(&learn(&lessons));
    assert!(found.contains(&"render was used last: send".to_owned()), "{found:?}");
    assert!(found.contains(&"the task mentions publish, open was used last: render".to_owned()), "{found:?}");
    assert!(found.contains(&"always: open".to_owned()), "{found:?}");
}

#[test]
fn after_a_change_the_old_rule_goes() {
    let mut lessons: Vec<Lesson> = (0..60).map(|n| lesson(n, "Ship the parcel", &["post"])).collect();
    assert_eq!(rules(&learn(&lessons)), ["always: post", "the task mentions parcel: post"]);
    let before = learn(&lessons).heuristics[0].confidence;
    lessons.extend(
        (60..70).map(|n| Lesson {
            failed_tools: vec!["post".into()],
            ..lesson(n, "Ship the parcel", &["courier"])
        }),
    );
    let known = learn(&lessons);
    let confidence = |tool: &str| {
        let of = known.heuristics.iter().filter(|rule| rule.tool == tool && rule.advice == Advice::Use);
        of.map(|rule| rule.confidence).fold(0.0, f64::max)
    };
    assert!(confidence("courier") > 0.7, "{}", confidence("courier"));
    assert!(confidence("post") < 0.5 * before, "{}", confidence("post"));
}

#[test]
fn it_stays_bounded() {
    let lessons: Vec<Lesson> = (0..600)
        .map(|n| {
            let word: String =
                format!("{:03}", n / 3).bytes().map(|digit| char::from(digit + b'l' - b'0')).collect();
            let tool = format!("tool_{}", n / 3);
            lesson(n, &format!("Do qu{word}"), &[&tool])
        })
        .collect();
    let known = learn(&lessons);
    assert_eq!(known.heuristics.len(), MAX_USE_RULES);
    assert_eq!(known.tools.len(), 200);
    assert_eq!(learn(&[]), Associations::default());
}

proptest! {
    #[test]
    fn the_order_of_lessons_does_not_matter(seed in 0_usize..10_000, count in 1_u64..40) {
        let mut lessons = mixed(count);
        lessons.push(failure(count, "Please melt the ice", &["furnace"]));
        let known = learn(&lessons);
        let len = lessons.len();
        lessons.swap(seed % len, (seed / 7) % len);
        lessons.rotate_left(seed % len);
        lessons.push(lessons[0].clone());
        prop_assert_eq!(known, learn(&lessons));
    }
}

#[test]
fn words_that_always_come_together_make_one_rule() {
    let lessons: Vec<Lesson> = (0..24)
        .map(|n| match n % 2 {
            0 => lesson(n, "Make the slow endpoint faster", &["profiler"]),
            _ => lesson(n, "Write the changelog", &["editor"]),
        })
        .collect();
    let known = learn(&lessons);
    let about = |tool: &str| known.heuristics.iter().filter(|rule| rule.tool == tool).count();
    assert_eq!((about("profiler"), about("editor")), (1, 1), "{:?}", rules(&known));
    // Each of the words calls for the tool, by that rule.
    let rule = known.heuristics.iter().find(|rule| rule.tool == "profiler").unwrap();
    for word in ["slow", "endpoint", "faster"] {
        assert!(known.calls[word].iter().any(|call| call.id == rule.id), "{word}");
    }
}

#[test]
fn what_is_done_for_one_of_two_sorts_of_tasks_is_not_always_done() {
    let mut lessons: Vec<Lesson> = (0..10).map(|n| lesson(n, "Mend the door", &["saw"])).collect();
    lessons.extend((10..24).map(|n| lesson(n, "Bake the bread", &["oven"])));
    let found = rules(&learn(&lessons));
    for tool in ["saw", "oven"] {
        assert!(found.iter().any(|rule| rule.ends_with(tool)), "{tool}: {found:?}");
    }
    assert!(found.iter().all(|rule| !rule.starts_with("always")), "{found:?}");
}

#[test]
fn rules_have_words_as_people_write_them() {
    let lessons: Vec<Lesson> = (0..12)
        .map(|n| match n % 3 {
            0 => lesson(n, "Release the storage services", &["tag"]),
            1 => lesson(n, "Release storage service", &["tag"]),
            _ => lesson(n, "Weigh the cup", &["scale"]),
        })
        .collect();
    let found = rules(&learn(&lessons)).join("; ");
    assert!(["release", "storage", "service"].iter().any(|word| found.contains(word)), "{found}");
    for stem in ["releas:", "storag:", "servic:", "releas and", "storag and", "servic and"] {
        assert!(!found.contains(stem), "{found}");
    }
}
