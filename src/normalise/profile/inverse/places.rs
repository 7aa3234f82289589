//! Where values stand in a payload: what the profile says of its sources.

use super::{
    BTreeMap, Class, ClassPlan, ClassRule, Field, FieldPlan, Intended, Intent, Inverse, Place,
    Source, Unsayable, Wish, side,
};

impl<'p> Inverse<'p> {
    /// Class, plan, and the value that chooses the class, if one does.
    pub(super) fn plan(&self, class: &str) -> Option<(&'p Class, &'p ClassPlan, Option<&'p str>)> {
        let class = self.classes.get(class)?;
        let is_it = |plan: &ClassPlan| plan.class == class.index();
        let at = self.profile.classes.iter().position(is_it)?;
        let value = match &self.profile.class {
            ClassRule::Fixed(_) => None,
            ClassRule::Chosen { map, .. } => map
                .iter()
                .find(|(_, place)| **place == at)
                .map(|(value, _)| &**value),
        };
        Some((class, self.profile.classes.get(at)?, value))
    }

    pub(super) fn unsayable(&self, of: impl Into<String>, why: String) -> Unsayable {
        Unsayable {
            profile: self.profile.id.to_string(),
            of: of.into(),
            why,
        }
    }

    pub(super) fn is_capture(&self, source: Source) -> bool {
        self.profile.captures.iter().any(|(_, of)| *of == source)
    }

    /// Where the device's id has to stand in the payload; none where it stands in the topic.
    pub(super) fn device_source(&self) -> Option<&'p Source> {
        let first = self.profile.device.first();
        first.filter(|source| !self.is_capture(**source))
    }

    pub(super) fn spelled(&self, source: Source) -> &str {
        let spelled = self.profile.sources.get(usize::from(source.0));
        spelled.map_or("", |spelled| spelled)
    }

    /// Whether the device's id is the object of a GB/T 26875.3 frame, which is made of its address, system and part.
    pub(super) fn is_object(&self) -> bool {
        self.profile.codec.name() == "gb26875"
            && self
                .device_source()
                .is_some_and(|source| self.spelled(*source) == "object")
    }

    /// Whether a source is a part of the device's id.
    pub(super) fn is_of_object(&self, source: Source) -> bool {
        self.is_object() && side::OF_OBJECT.contains(&self.spelled(source))
    }

    /// The wishes of the fields, one for each source, and the fields that yield to others.
    pub(super) fn places(
        &self,
        class: &'p Class,
        plan: &'p ClassPlan,
        intent: &Intent<'_>,
    ) -> Result<(Vec<Place<'p>>, Vec<u32>), Unsayable> {
        let (mut places, mut yielded) = (Vec::new(), Vec::new());
        let mut groups: BTreeMap<Source, Vec<(&Field, &FieldPlan, &Intended)>> = BTreeMap::new();
        for (number, value) in intent.values {
            let found = plan.fields.iter().find(|field| field.number == *number);
            let field = found.and_then(|found| Some((class.fields().get(found.slot)?, found)));
            let Some((field, plan)) = field else {
                return Err(self.unsayable(format!("field {number}"), "not in the profile".into()));
            };
            let mut own = plan.from.iter().filter(|source| !self.is_capture(**source));
            let Some(first) = own.next() else {
                let why = "it comes from the topic".to_owned();
                return Err(self.unsayable(&field.name, why));
            };
            if self.is_of_object(*first) || self.device_source() == Some(first) {
                yielded.push(*number);
                continue;
            }
            groups.entry(*first).or_default().push((field, plan, value));
        }
        for group in groups.values() {
            let Some((field, plan, _)) = group.first() else {
                continue;
            };
            let wish = Wish::of_fields(group, &mut yielded)
                .map_err(|why| self.unsayable(&field.name, why))?;
            let from = match group.len() {
                1 => &*plan.from,
                // Others stand there as well.
                _ => plan
                    .from
                    .iter()
                    .position(|source| !self.is_capture(*source))
                    .and_then(|at| plan.from.get(at..=at))
                    .unwrap_or_default(),
            };
            places.push(place(&field.name, from, wish));
        }
        Ok((places, yielded))
    }

    pub(super) fn is_inner(&self, source: Source) -> bool {
        let nested = self.profile.nested.as_ref();
        nested.is_some_and(|nested| nested.table.key_of(source).is_some())
    }
}

pub(super) fn place<'a>(of: &str, from: &'a [Source], wish: Wish<'a>) -> Place<'a> {
    Place {
        of: of.to_owned(),
        from,
        wish,
    }
}
