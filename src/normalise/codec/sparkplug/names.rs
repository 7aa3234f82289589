//! What a birth certificate says of its metrics: which alias is which name, and of which datatype. One text holds all
//! names, one sorted list the aliases, another the names, so that a certificate of a thousand metrics is four
//! allocations.

use std::collections::HashMap;

use super::{
    super::super::payload::Reject,
    metric::{Carried, Metric, text},
    payload::Envelope,
};
use crate::domain::QuarantineReason;

/// The metrics of a node or device.
#[derive(Debug, Default)]
pub(super) struct Names {
    text: Box<str>,
    /// Sorted by name, each name once.
    metrics: Box<[Named]>,
    /// Sorted by alias, each alias once, with a place in `metrics`.
    aliases: Box<[(u64, u32)]>,
}

#[derive(Debug, Clone, Copy)]
struct Named {
    start: u32,
    len: u32,
    datatype: u32,
}

impl Names {
    /// Of a birth certificate. An alias given to two names means neither of them.
    pub(super) fn of(envelope: &Envelope<'_>, metrics_max: usize) -> Result<Self, Reject> {
        let mut found = Vec::new();
        let mut metrics = envelope.metrics();
        while let Some(metric) = metrics.next()? {
            let Some(name) = metric.name else { continue };
            if found.len() == metrics_max {
                let detail = format!("a birth certificate of more than {metrics_max} metrics");
                return Err(Reject::new(QuarantineReason::TooLarge, detail));
            }
            found.push((text(name), metric.alias, metric.datatype.unwrap_or(0)));
        }
        // Stable: of a name that stands several times the last one's datatype counts.
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let mut names = Builder::default();
        for (name, alias, datatype) in &found {
            names.add(name, *alias, *datatype)?;
        }
        Ok(names.finish())
    }

    /// The name and datatype behind an alias.
    #[inline]
    pub(super) fn by_alias(&self, alias: u64) -> Option<(&str, u32)> {
        let place = self.place(alias)?;
        self.at(place)
    }

    /// The datatype of a name.
    #[inline]
    pub(super) fn datatype(&self, name: &[u8]) -> Option<u32> {
        let place = self
            .metrics
            .binary_search_by(|named| self.name(*named).unwrap_or_default().as_bytes().cmp(name))
            .ok()?;
        self.metrics.get(place).map(|named| named.datatype)
    }

    /// Bytes that this holds on to.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + size_of_val(&*self.metrics) + size_of_val(&*self.aliases)
    }

    /// Most nodes number their aliases without holes: the first guess is the right one.
    #[inline]
    fn place(&self, alias: u64) -> Option<u32> {
        let (first, _) = self.aliases.first()?;
        let guess = usize::try_from(alias.checked_sub(*first)?).ok()?;
        if let Some((found, place)) = self.aliases.get(guess)
            && *found == alias
        {
            return Some(*place);
        }
        let found = self.aliases.binary_search_by_key(&alias, |entry| entry.0);
        self.aliases.get(found.ok()?).map(|entry| entry.1)
    }

    #[inline]
    fn at(&self, place: u32) -> Option<(&str, u32)> {
        let named = *self.metrics.get(usize::try_from(place).ok()?)?;
        Some((self.name(named)?, named.datatype))
    }

    #[inline]
    fn name(&self, named: Named) -> Option<&str> {
        let start = usize::try_from(named.start).ok()?;
        let len = usize::try_from(named.len).ok()?;
        self.text.get(start..start.checked_add(len)?)
    }
}

#[derive(Default)]
struct Builder {
    text: String,
    metrics: Vec<Named>,
    /// None for an alias of two names.
    aliases: HashMap<u64, Option<u32>, foldhash::fast::RandomState>,
}

impl Builder {
    /// Adds a metric; those of one name come one behind the other.
    fn add(&mut self, name: &str, alias: Option<u64>, datatype: u32) -> Result<(), Reject> {
        let is_again = self
            .metrics
            .last()
            .and_then(|last| self.text.get(usize::try_from(last.start).ok()?..))
            .is_some_and(|last| last == name);
        if is_again {
            if let Some(last) = self.metrics.last_mut() {
                last.datatype = datatype;
            }
        } else {
            let start = u32::try_from(self.text.len()).map_err(|_wide| too_long())?;
            self.text.push_str(name);
            let len = u32::try_from(name.len()).map_err(|_wide| too_long())?;
            self.metrics.push(Named {
                start,
                len,
                datatype,
            });
        }
        if let Some(alias) = alias {
            let place = u32::try_from(self.metrics.len() - 1).map_err(|_wide| too_long())?;
            self.aliases
                .entry(alias)
                .and_modify(|known| *known = known.filter(|known| *known == place))
                .or_insert(Some(place));
        }
        Ok(())
    }

    fn finish(self) -> Names {
        let sure = self
            .aliases
            .into_iter()
            .filter_map(|(alias, place)| Some((alias, place?)));
        let mut aliases: Vec<_> = sure.collect();
        aliases.sort_unstable();
        Names {
            text: self.text.into(),
            metrics: self.metrics.into(),
            aliases: aliases.into(),
        }
    }
}

fn too_long() -> Reject {
    Reject::new(
        QuarantineReason::TooLarge,
        "a birth certificate of more than 4 GiB of names",
    )
}

/// What is known of a scope while a message of it is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known<'n> {
    /// The birth certificate in force.
    Births(&'n Names),
    /// There is none, and why.
    Nothing(&'static str),
}

impl<'n> Known<'n> {
    /// The name of a metric, if it comes by its alias alone, and the datatype of its value; 0 for an unknown one.
    #[inline]
    pub(super) fn of_alias(
        self,
        metric: &Metric<'_>,
        alias: u64,
    ) -> Result<(&'n str, u32), Reject> {
        let unknown = |why: &str| {
            let detail = format!("alias {alias} is unknown: {why}");
            Err(Reject::new(QuarantineReason::State, detail))
        };
        let names = match self {
            Self::Births(names) => names,
            Self::Nothing(why) => return unknown(why),
        };
        let Some((name, born)) = names.by_alias(alias) else {
            return unknown("the birth certificate does not have it");
        };
        match metric.datatype {
            Some(said) if said != 0 && born != 0 && said != born => {
                unknown("its datatype is not the one of the birth certificate")
            }
            _ if !metric.can_be(born) => {
                unknown("its value is none of the datatype of the birth certificate")
            }
            said => Ok((name, said.filter(|said| *said != 0).unwrap_or(born))),
        }
    }

    /// The datatype of a metric that comes by its name; 0 for an unknown one. A number whose top bit is set is refused
    /// then: it may be a large one or a negative one.
    #[inline]
    pub(super) fn of_name(self, metric: &Metric<'_>, name: &[u8]) -> Result<u32, Reject> {
        if let Some(said) = metric.datatype {
            return Ok(said);
        }
        if !metric.needs_datatype() {
            return Ok(match (metric.carried, self) {
                (Carried::Bytes(_), Self::Births(names)) => names.datatype(name).unwrap_or(0),
                _ => 0,
            });
        }
        let (born, why) = match self {
            Self::Births(names) => (
                names.datatype(name),
                "the birth certificate does not have it",
            ),
            Self::Nothing(why) => (None, why),
        };
        let has_top_bit = match metric.carried {
            Carried::Int(value) => value.leading_zeros() == 0,
            Carried::Long(value) => value.leading_zeros() == 0,
            _ => false,
        };
        match born {
            None | Some(0) if has_top_bit => {
                let name = text(name);
                let detail = format!("{name}: the sign of its number is unknown: {why}");
                Err(Reject::new(QuarantineReason::State, detail))
            }
            born => Ok(born.unwrap_or(0)),
        }
    }
}
