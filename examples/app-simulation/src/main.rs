//! A shop that sells at several tills, on- and offline, and the simulation that finds what is wrong with it.
//!
//! The first version keeps what is left in stock in a register: read it, take one off, write it back. On one till that is
//! right. When two tills sell at the same time, or while they are cut from each other, the later write wins and the earlier
//! sale is forgotten. The second version keeps a counter, which merges.
//!
//! `cargo run -p app-simulation` shows the bug with the seed that finds it; `cargo test -p app-simulation` holds the second
//! version to the rule under many seeds.

use reknit_sim::{
    AskError, EntityId, FieldValue, Link, Name, Ran, Sim, Time, Tx, TxError, Value, World, heal, partition,
};

/// How the shop keeps its stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Register,
    Counter,
}

const AT_FIRST: i64 = 100;
const TEA: EntityId = EntityId::from_bytes([7; 16]);

impl Version {
    fn open(self, tx: &mut Tx<'_>) -> Result<(), TxError> {
        let mut tea = tx.entity("goods", TEA)?;
        match self {
            Self::Register => tea.set("stock", AT_FIRST)?,
            Self::Counter => tea.add("stock", AT_FIRST)?,
        };
        Ok(())
    }

    /// Sells one: a receipt for the customer, and one less in stock, in one transaction.
    fn sell(self, tx: &mut Tx<'_>) -> Result<(), TxError> {
        tx.create("receipts")?.set("article", "tea")?;
        let mut tea = tx.entity("goods", TEA)?;
        match (self, tea.get("stock")?) {
            (Self::Register, Some(FieldValue::Register(Some(Value::Int(left))))) => {
                _ = tea.set("stock", left - 1)?
            }
            (Self::Register, _) => {}
            (Self::Counter, _) => _ = tea.add("stock", -1)?,
        }
        Ok(())
    }
}

/// The rule of the shop: what was sold and what is left is what was there at first.
fn nothing_is_lost(world: &World, till: usize) -> Result<(), String> {
    let all = |name| {
        Name::new(name).map(|name| world.entities(till, &name).unwrap_or_default()).unwrap_or_default()
    };
    let (goods, sold) = (all("goods"), all("receipts").len() as i64);
    let stock = goods.first().and_then(|tea| tea.fields.values().next());
    let left = match stock {
        Some(FieldValue::Register(Some(Value::Int(left)))) | Some(FieldValue::Counter(left)) => *left,
        _ => return Ok(()),
    };
    if sold + left == AT_FIRST { Ok(()) } else { Err(format!("{sold} sold and {left} left, of {AT_FIRST}")) }
}

/// A day in the shop: three tills, one of them cut off for a while.
fn simulate(version: Version, seed: u64) -> Ran {
    let day = move |world: &mut World| -> Result<(), AskError> {
        world.transact(0, move |tx| version.open(tx))?;
        world.pass(1.s())?;
        for customer in 0..12 {
            world.transact(customer % 3, move |tx| version.sell(tx))?;
            world.pass(2.s())?;
        }
        Ok(())
    };
    Sim::new(seed)
        .peers(3)
        .link(Link::new(25.0, 0.02))
        .at(5.s(), partition([&[0, 1], &[2]]))
        .at(20.s(), heal())
        .always("nothing-is-lost", nothing_is_lost)
        .run(day)
}

fn main() {
    for version in [Version::Register, Version::Counter] {
        let found = (0..20).find_map(|seed| Some((seed, simulate(version, seed).converge().err()?)));
        match found {
            Some((seed, violation)) => println!("{version:?}: seed {seed} breaks {violation}"),
            None => println!("{version:?}: 20 seeds, and nothing is lost"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stock_in_a_register_loses_sales_and_the_simulator_says_so() {
        let violation = simulate(Version::Register, 0).converge().unwrap_err();
        assert_eq!(violation.rule, "nothing-is-lost");
    }

    #[test]
    fn a_stock_in_a_counter_loses_none() {
        (0..10).for_each(|seed| drop(simulate(Version::Counter, seed).assert_converged()));
    }
}
