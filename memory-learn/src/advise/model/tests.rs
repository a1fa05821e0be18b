use super::*;

/// Tasks over six tools, some of which need two, in an order that repeats no pattern.
fn episodes(count: u32) -> Vec<(String, Vec<&'static str>)> {
    const WISHES: [(&str, &[&str], &[&str]); 6] = [
        ("cancel", &["Cancel the order", "Call the purchase off", "Stop order"], &["lamp", "desk", "sofa"]),
        ("refund", &["Refund the money for", "Pay back the price of"], &["kettle", "mixer", "toaster"]),
        ("ship", &["Ship", "Send the parcel with", "Deliver"], &["shoes", "boots", "socks"]),
        ("lookup", &["Find out the status of", "Where is"], &["shipment", "delivery", "package"]),
        ("email", &["Write a mail about", "Inform the customer of"], &["delay", "discount", "invoice"]),
        ("report", &["Summarise the sales of", "Report on"], &["March", "April", "June"]),
    ];
    let mut dice = Dice::new(7);
    let wish = |dice: &mut Dice| {
        let (tool, verbs, objects) = WISHES[dice.below(WISHES.len())];
        let text = format!(
            "{} {} number {}",
            verbs[dice.below(verbs.len())],
            objects[dice.below(objects.len())],
            dice.below(900)
        );
        (text, tool)
    };
    (0..count)
        .map(|_| {
            let (text, tool) = wish(&mut dice);
            if dice.below(3) > 0 {
                return (text, vec![tool]);
            }
            let (more, other) = wish(&mut dice);
            let tools = if other == tool { vec![tool] } else { vec![tool, other] };
            (format!("{text}, and then {more}"), tools)
        })
        .collect()
}

fn learned(rows: &[(String, Vec<&str>)]) -> Model {
    let mut model = Model::new(Params::default());
    for (id, (text, tools)) in rows.iter().enumerate() {
        model.learn(Example::new(id as u128, text).used(tools.iter().copied()));
    }
    model.calibrate();
    model
}

fn mean_f1(model: &Model, rows: &[(String, Vec<&str>)]) -> f64 {
    let f1 = |(text, tools): &(String, Vec<&str>)| {
        let advice = model.predict(&Query::new(text));
        let named = advice.named();
        let right = named.iter().filter(|it| tools.contains(it)).count();
        2.0 * right as f64 / (named.len() + tools.len()) as f64
    };
    rows.iter().map(f1).sum::<f64>() / rows.len() as f64
}

/// The greatest difference of a probability, over tasks and tools.
fn difference(one: &Model, other: &Model, rows: &[(String, Vec<&str>)]) -> f64 {
    let mut most = 0.0_f64;
    for (text, _) in rows {
        let (one, other) = (one.predict(&Query::new(text)), other.predict(&Query::new(text)));
        assert_eq!(one.tools.len(), other.tools.len());
        for it in &one.tools {
            let same = other.tools.iter().find(|other| other.tool == it.tool).unwrap();
            most = most.max((it.probability - same.probability).abs());
        }
    }
    most
}

#[test]
fn tasks_get_their_tools_and_more_episodes_help() {
    let rows = episodes(500);
    let (train, test) = rows.split_at(400);
    let (few, many) = (mean_f1(&learned(&train[..25]), test), mean_f1(&learned(train), test));
    assert!(many > 0.95, "{many}");
    assert!(many > few, "{few} {many}");
    let skill = learned(train).skill();
    assert!(skill.predictions == Params::default().window && skill.mean_f1 > 0.8, "{skill:?}");
}

#[test]
fn a_model_that_knows_nothing_advises_nothing() {
    assert_eq!(Model::new(Params::default()).predict(&Query::new("Cancel the order")), Advice::default());
}

#[test]
fn what_is_forgotten_is_taken_out() {
    let rows = episodes(200);
    let mut model = learned(&rows);
    for id in 0..200 {
        assert!(model.forget(id));
    }
    assert!(!model.forget(0) && model.is_empty());
    assert!(model.linear.rows.sorted().is_empty() && model.order.before.is_empty() && model.names.is_empty());
    assert!(model.start.window.is_empty() && model.middle.window.is_empty());
    assert_eq!(model.cases.held.len(), 0);
    for weight in &model.linear.bias {
        assert!(weight.abs() < 1e-3, "{weight}");
    }
    assert_eq!(model.predict(&Query::new("Cancel the order")).tools, []);
}

#[test]
fn a_forgotten_word_is_no_name_although_another_one_shares_its_bucket() {
    let bucket = |name: &str| memory_recall::text::word(name).bucket;
    let twin = (0..).map(|n| format!("w{n}")).find(|twin| bucket(twin) == bucket("secretname")).unwrap();
    let mut model = Model::new(Params::default());
    model.learn(Example::new(1, "Call secretname").used(["phone"]));
    model.learn(Example::new(2, &format!("Call {twin}")).used(["phone"]));
    assert_eq!(&*model.names[&bucket("secretname")].name, "secretname");
    let (answers, learns) = (model.encode(), model.encode_learning(&model.encode()));
    let mut model = Model::decode(answers.clone(), Params::default()).unwrap().resume(&learns).unwrap();
    model.forget(1);
    assert!(model.names.values().all(|name| &*name.name != "secretname"));
    assert!(model.names.values().any(|name| *name.name == *"call"));
}

#[test]
fn a_forgotten_episode_leaves_its_word_no_weight() {
    let mut rows = episodes(100);
    rows.push(("Frobnicate the zyxgadget".to_owned(), vec!["frob"]));
    let mut model = learned(&rows);
    assert_eq!(model.predict(&Query::new("Frobnicate the zyxgadget")).named(), ["frob"]);
    model.forget(100);
    let advice = model.predict(&Query::new("Frobnicate the zyxgadget"));
    assert!(advice.tools.iter().all(|it| it.tool != "frob"));
}

/// The stated tolerance: 0.25 of a probability at most, and the same quality.
#[test]
fn order_of_arrival_matters_little() {
    let rows = episodes(300);
    let (train, test) = rows.split_at(250);
    let forward = learned(train);
    let mut backward = Model::new(Params::default());
    for (id, (text, tools)) in train.iter().enumerate().rev() {
        backward.learn(Example::new(id as u128, text).used(tools.iter().copied()));
    }
    backward.calibrate();
    assert!(difference(&forward, &backward, test) < 0.25);
    assert!((mean_f1(&forward, test) - mean_f1(&backward, test)).abs() < 0.05);
}

#[test]
fn the_same_episodes_give_the_same_advice() {
    let rows = episodes(120);
    assert_eq!(difference(&learned(&rows), &learned(&rows), &rows), 0.0);
}

#[test]
fn tools_that_fail_are_not_named() {
    let mut model = Model::new(Params::default());
    for id in 0..30 {
        model.learn(Example::new(2 * id, &format!("Restart worker {id}")).used(["drain"]).against(["kill"]));
        model.learn(Example::new(2 * id + 1, &format!("Remove file {id}")).used(["kill"]));
    }
    model.calibrate();
    assert_eq!(model.predict(&Query::new("Restart worker 99")).named(), ["drain"]);
}

#[test]
fn the_words_that_speak_for_a_tool_come_first() {
    let model = learned(&episodes(300));
    let words = model.words_for("Please refund the money for my kettle", "refund");
    assert!(["refund", "money", "kettle"].contains(&words[0].0.as_str()) && words[0].1 > 0.0, "{words:?}");
    assert_eq!(words.len(), 7);
    let shares: f64 = words.iter().map(|(_, share)| share).sum();
    let advice = model.predict(&Query::new("Please refund the money for my kettle"));
    assert_eq!(advice.named(), ["refund"]);
    assert!(shares > 0.0);
    assert_eq!(model.words_for("Please", "no such tool"), []);
}

#[test]
fn a_silent_episode_says_nothing_of_other_tools() {
    let mut model = Model::new(Params::default());
    for id in 0..20 {
        model.learn(Example::new(2 * id, &format!("Bake bread {id}")).used(["oven"]));
        let failed = Example::new(2 * id + 1, &format!("Bake bread {id}")).against(["pan"]);
        model.learn(failed.silent_about_others(true));
    }
    model.calibrate();
    assert_eq!(model.predict(&Query::new("Bake bread 7")).named(), ["oven"]);
}

#[test]
fn done_tools_are_not_named_and_tools_are_in_order_of_use() {
    let rows: Vec<(String, Vec<&str>)> =
        (0..40).map(|id| (format!("Deploy service {id}"), vec!["zip", "build", "deploy"])).collect();
    let model = learned(&rows);
    let query = Query::new("Deploy service 3");
    assert_eq!(model.predict(&query).named(), ["zip", "build", "deploy"]);
    assert_eq!(model.predict(&query.clone().done(["zip"])).named(), ["build", "deploy"]);
    assert_eq!(model.predict(&query.done(["zip", "build", "deploy"])).named(), Vec::<&str>::new());
}

/// Episodes of one task with these courses, in rotation: each call with its sign.
fn went(model: &mut Model, from: u128, count: u128, courses: &[&str]) {
    for at in 0..count {
        let course = courses[at as usize % courses.len()];
        let calls: Vec<(&str, bool)> =
            course.split(' ').map(|call| (&call[..call.len() - 1], call.ends_with('+'))).collect();
        let used: Vec<&str> = calls.iter().filter(|(_, worked)| *worked).map(|(tool, _)| *tool).collect();
        let failed: Vec<&str> =
            calls.iter().map(|(tool, _)| *tool).filter(|tool| !used.contains(tool)).collect();
        let example = Example::new(from + at, &format!("Customer {at} asks to cancel a booking"));
        model.learn(example.used(used).against(failed).course(calls));
    }
    model.calibrate();
}

#[test]
fn after_a_failure_the_episodes_that_had_it_are_asked() {
    let mut model = Model::new(Params::default());
    let usual = "find+ cancel+ refund+";
    went(&mut model, 0, 12, &[usual, usual, usual, "find+ cancel- hand_over+"]);
    let query = Query::new("Somebody asks to cancel a booking").done(["find"]);
    assert_eq!(model.predict(&query).named(), ["cancel", "refund"]);
    let advice = model.predict(&query.failed(Some("cancel")));
    assert_eq!(advice.named(), ["hand_over"], "{advice:#?}");
    assert_eq!(advice.tools[0].episodes, [11, 7, 3]);
}

#[test]
fn what_failed_at_a_point_is_a_dead_end_there() {
    let mut model = Model::new(Params::default());
    went(&mut model, 0, 6, &["copy- unseal+ copy+ link- seal+"]);
    let at = |done: &[&str]| {
        let advice =
            model.predict(&Query::new("Customer 9 asks to cancel a booking").done(done.iter().copied()));
        advice.dead_ends.into_iter().map(|it| (it.tool, it.failed, it.tried)).collect::<Vec<_>>()
    };
    assert_eq!(at(&[]), [("copy".to_owned(), 6, 6)]);
    assert_eq!(at(&["unseal"]), []);
    assert_eq!(at(&["unseal", "copy"]), [("link".to_owned(), 6, 6)]);
    assert_eq!(at(&["unseal", "copy", "unknown"]), [], "more was done than in any of them");
}

#[test]
fn advice_follows_a_change() {
    let mut model = Model::new(Params::default());
    went(&mut model, 0, 100, &["find+ cancel+ refund+"]);
    went(&mut model, 100, 20, &["find+ revoke+ refund+"]);
    let query = Query::new("Customer 555 asks to cancel a booking");
    assert_eq!(model.predict(&query).named(), ["find", "revoke", "refund"]);
}

#[test]
fn a_model_survives_its_stored_form() {
    let rows = episodes(150);
    let (train, more) = rows.split_at(120);
    let mut model = learned(train);
    let (answers, learns) = (model.encode(), model.encode_learning(&model.encode()));
    let decoded = Model::decode(answers.clone(), Params::default()).unwrap();
    assert_eq!(difference(&model, &decoded, &rows), 0.0);
    let mut resumed = decoded.resume(&learns).unwrap();
    for (id, (text, tools)) in (1_000..).zip(more) {
        let example = Example::new(id, text).used(tools.iter().copied());
        model.learn(example.clone());
        resumed.learn(example);
    }
    for id in 0..60 {
        assert!(model.forget(id) && resumed.forget(id));
    }
    model.calibrate();
    resumed.calibrate();
    assert!(difference(&model, &resumed, &rows) < 1e-3);
}

#[test]
fn damaged_bytes_are_no_model() {
    let model = learned(&episodes(30));
    let (answers, learns) = (model.encode(), model.encode_learning(&model.encode()));
    for at in (0..answers.len()).step_by(97) {
        let mut damaged = answers.clone();
        damaged[at] ^= 1;
        assert!(Model::decode(damaged, Params::default()).is_err());
        assert!(Model::decode(answers[..at].to_vec(), Params::default()).is_err());
    }
    let decoded = || Model::decode(answers.clone(), Params::default()).unwrap();
    assert!(decoded().resume(&learns[..learns.len() - 9]).is_err());
    assert!(decoded().resume(&answers).is_err());
    let other = learned(&episodes(31)).encode_learning(&model.encode());
    assert!(decoded().resume(&other).is_err());
}

#[test]
fn tools_beyond_the_bound_are_counted() {
    let mut model = Model::new(Params { tools: 2, ..Params::default() });
    model.learn(Example::new(1, "Do three things").used(["a", "b", "c"]));
    assert_eq!((model.tools().len(), model.dropped()), (2, 1));
}

#[test]
fn newer_episodes_take_weight_from_older_ones_with_other_tools() {
    let lead = |contradicted: f32| {
        let mut model = Model::new(Params { contradicted, ..Params::default() });
        for id in 0..40_u128 {
            let (text, tool) = match id {
                0..16 => ("Deploy the service", "ssh"),
                16..32 => ("Bake some bread", "oven"),
                _ => ("Deploy the service", "helm"),
            };
            model.learn(Example::new(id, text).used([tool]));
        }
        let margins = model.margins(&Query::new("Deploy the service").text).whole;
        let faded = |used: &str| {
            let of = |it: &&Learned| it.used.contains(&model.places[used]);
            model.episodes.iter().filter(of).map(|it| it.share.faded).fold(0.0, f32::max)
        };
        assert!(faded("oven") < 0.1 && faded("helm") < 0.1);
        assert_eq!(faded("ssh") > 0.9, contradicted > 0.0);
        margins[usize::from(model.places["helm"])] - margins[usize::from(model.places["ssh"])]
    };
    assert!(lead(0.5) > lead(0.0) + 0.2, "{} {}", lead(0.5), lead(0.0));
}

#[test]
fn a_forgotten_episode_gives_back_what_older_ones_lost_to_it() {
    let mut model = Model::new(Params::default());
    for id in 0..12_u128 {
        model.learn(Example::new(id, "Deploy the service").used(["ssh"]));
    }
    let faded = |model: &Model| model.episodes.iter().map(|it| it.share.faded).fold(0.0, f32::max);
    assert_eq!(faded(&model), 0.0);
    (12..15).for_each(|id| model.learn(Example::new(id, "Deploy the service").used(["helm"])));
    let lost = faded(&model);
    assert!(lost > 0.8, "{lost}");
    let answers = model.encode();
    let learns = model.encode_learning(&answers);
    let mut model = Model::decode(answers, Params::default()).unwrap().resume(&learns).unwrap();
    assert_eq!(faded(&model), lost);
    (12..15).for_each(|id| assert!(model.forget(id)));
    assert!(faded(&model) < 1e-5, "{}", faded(&model));
}
