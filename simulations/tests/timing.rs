use reknit_sim::people::{Person, Work};
use reknit_sim::*;
#[test]
fn timing() {
    let kind: EnemyKind = serde_json::from_str(&format!("\"{}\"", std::env::var("KIND").unwrap())).unwrap();
    let from: u64 = std::env::var("FROM").unwrap().parse().unwrap();
    let n: u64 = std::env::var("N").unwrap().parse().unwrap();
    let peers: usize = std::env::var("PEERS").unwrap_or("4".into()).parse().unwrap();
    let rate: f64 = std::env::var("RATE").unwrap_or("10".into()).parse().unwrap();
    let until: Option<f64> = std::env::var("UNTIL").ok().map(|s| s.parse().unwrap());
    let mut answers = std::collections::BTreeMap::<String, u64>::new();
    let mut total = std::collections::BTreeMap::new();
    for seed in from..from + n {
        let person = Person {
            at: vec![],
            work: Work::Mixed,
            per_second: 2.0,
            burst: 1,
            entities: 3,
            bytes: 16,
            from: 0.0,
            until: None,
        };
        let scenario = Scenario {
            name: "x".into(),
            about: "x".into(),
            peers,
            degree: None,
            disks: Disks::Memory,
            link: Link::new(10.0, 0.0),
            seconds: 8.0,
            people: vec![person],
            at: vec![],
            repeat: vec![],
            enemies: vec![Enemy {
                at: vec![peers - 1],
                per_second: rate,
                lies: 0.2,
                until,
                ..Enemy::new(kind)
            }],
            chaos: None,
            budget: Budget::default(),
        };
        let began = std::time::Instant::now();
        let outcome = run(&scenario, seed);
        println!(
            "seed {seed} {:?} virtual {:.1} rounds {} msgs {} events {} bytes {} heal {:?}",
            began.elapsed(),
            outcome.virtual_s,
            outcome.traffic.rounds,
            outcome.traffic.messages,
            outcome.traffic.delivered,
            outcome.traffic.bytes,
            outcome.heal_s
        );
        for (what, times) in &outcome.attacks {
            *total.entry(what.clone()).or_insert(0) += times;
        }
        for (what, times) in &outcome.answers {
            *answers.entry(what.clone()).or_insert(0) += times;
        }
        if let Some(failure) = outcome.failure {
            println!(
                "FAILED {} at {}: {:.3000}\n{}",
                failure.rule,
                failure.at_s,
                failure.what,
                failure.story.join("\n")
            );
        }
    }
    println!("{total:?}\nANSWERS {answers:?}");
}
