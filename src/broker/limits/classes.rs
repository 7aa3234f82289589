//! The budgets of classes: one for each class in force, and one for everything else, so that no name that a client makes
//! up takes any room. Found once at CONNECT; a class that comes into force later gets its own budget with the next
//! connection of each device.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;

use super::budget::ClassBudget;
use crate::config::RateLimits;

/// Most classes with a budget of their own; the catalogue has 226.
const CLASSES_MAX: usize = 4096;

type Budgets = HashMap<Box<str>, Arc<ClassBudget>>;

/// All classes' budgets.
#[derive(Debug)]
pub(crate) struct ClassBudgets {
    common_per_s: u32,
    own_per_s: HashMap<String, u32>,
    burst: Duration,
    in_force: ArcSwap<Budgets>,
    others: Arc<ClassBudget>,
}

impl ClassBudgets {
    pub(crate) fn new(rates: &RateLimits) -> Self {
        Self {
            common_per_s: rates.class_messages_per_s,
            own_per_s: rates.class_rates.iter().cloned().collect(),
            burst: rates.burst,
            in_force: ArcSwap::default(),
            others: Arc::new(ClassBudget::new(rates.class_messages_per_s, rates.burst)),
        }
    }

    /// Puts classes in force; those that were keep their budget.
    pub(crate) fn replace<'a>(&self, classes: impl IntoIterator<Item = &'a str>) {
        let before = self.in_force.load();
        let budget = |class: &str| {
            let per_s = self
                .own_per_s
                .get(class)
                .copied()
                .unwrap_or(self.common_per_s);
            let fresh = ClassBudget::new(per_s, self.burst);
            match before.get(class) {
                Some(kept) if kept.has_rate_of(&fresh) => Arc::clone(kept),
                _ => Arc::new(fresh),
            }
        };
        let after: Budgets = classes
            .into_iter()
            .take(CLASSES_MAX)
            .map(|class| (Box::from(class), budget(class)))
            .collect();
        self.in_force.store(Arc::new(after));
    }

    /// The budget of a class.
    pub(crate) fn of(&self, class: &str) -> Arc<ClassBudget> {
        let in_force = self.in_force.load();
        Arc::clone(in_force.get(class).unwrap_or(&self.others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::pulse::Tick;

    fn budgets() -> ClassBudgets {
        ClassBudgets::new(&RateLimits {
            policy: crate::config::RatePolicy::Pause,
            messages_per_s: 1,
            bytes_per_s: 1,
            application_messages_per_s: 1,
            application_bytes_per_s: 1,
            burst: Duration::from_secs(1),
            class_messages_per_s: 10,
            class_rates: vec![("bulk".to_owned(), 3)],
        })
    }

    fn taken(budget: &ClassBudget) -> usize {
        (0..100)
            .filter(|_| budget.spend(Tick(8), 1).is_ok())
            .count()
    }

    #[test]
    fn classes_in_force_have_their_own_budget_and_all_names_else_share_one() {
        let budgets = budgets();
        budgets.replace(["alarm", "bulk"]);
        assert_eq!(taken(&budgets.of("alarm")), 10);
        assert_eq!(taken(&budgets.of("bulk")), 3);
        assert_eq!(taken(&budgets.of("made-up-1")), 10);
        assert_eq!(taken(&budgets.of("made-up-2")), 0);
    }

    #[test]
    fn a_reload_refills_no_bucket() {
        let budgets = budgets();
        budgets.replace(["alarm"]);
        assert_eq!(taken(&budgets.of("alarm")), 10);
        budgets.replace(["alarm", "other"]);
        assert_eq!(taken(&budgets.of("alarm")), 0);
        assert_eq!(taken(&budgets.of("other")), 10);
    }
}
