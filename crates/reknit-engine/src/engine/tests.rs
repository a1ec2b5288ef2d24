use super::*;
use crate::store::{MemoryStore, Store};
use proptest::prelude::*;
use rand::SeedableRng;

const NOW_MS: u64 = 1_700_000_000_000;

/// What may happen in a round, each to a space.
#[derive(Debug, Clone, Copy)]
enum Step {
    Create,
    Write { space: u32, bytes: usize },
    Drop { space: u32 },
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Create),
        4 => (1..6u32, 0..3_000usize).prop_map(|(space, bytes)| Step::Write { space, bytes }),
        1 => (1..6u32).prop_map(|space| Step::Drop { space }),
        1 => Just(Step::Settle),
    ]
}

fn engine(store: &MemoryStore) -> Engine {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let device = DeviceKey::generate(&mut rng);
    Engine::open(Config { device, device_name: "a".to_owned(), rng }, store).unwrap()
}

fn take(engine: &mut Engine, step: Step, store: &mut MemoryStore, effects: &mut Effects) {
    let request = RequestId(1);
    let input = match step {
        Step::Create => Input::Create { request, name: "home".to_owned() },
        Step::Write { space, bytes } => Input::Transact {
            request,
            space: SpaceNo(space),
            run: Box::new(move |tx| tx.create("notes")?.set("body", "x".repeat(bytes)).map(|_| ())),
            durability: Durability::Fast,
        },
        Step::Drop { space } => return engine.drop_space(SpaceNo(space)),
        Step::Settle => {
            engine.settle(NOW_MS, store, effects).unwrap();
            return store.commit(std::mem::take(effects).batch, Durability::Durable).unwrap();
        }
    };
    engine.handle(NOW_MS, input, store, effects).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_running_sum_of_what_waits_is_the_sum(steps in proptest::collection::vec(step(), 1..20)) {
        let (mut store, mut effects) = (MemoryStore::new(), Effects::default());
        let mut engine = engine(&store);
        for step in steps {
            take(&mut engine, step, &mut store, &mut effects);
            let sum: usize = engine.spaces.values().map(|space| space.log.pending_bytes()).sum();
            prop_assert_eq!(engine.pending_bytes, sum);
            if matches!(step, Step::Settle) {
                prop_assert_eq!(sum, 0);
            }
        }
    }
}
