//! The plan of one class that a profile may give.

use super::{
    BTreeMap, Band, Class, ClassPlan, Compiler, FieldPlan, Source, Spec, status_plan, take, told_by,
};

impl Compiler<'_> {
    /// A field that none of the classes has is a slip of the pen.
    pub(super) fn unused_fields(&mut self, spec: &Spec, ids: &[String]) {
        let classes: Vec<&Class> = ids.iter().filter_map(|id| self.classes.get(id)).collect();
        if classes.len() < ids.len() {
            return;
        }
        for name in spec.fields.keys() {
            let is_known = classes
                .iter()
                .any(|class| class.fields().iter().any(|field| field.name == *name));
            if !is_known {
                let names: Vec<&str> = classes
                    .iter()
                    .flat_map(|class| class.fields())
                    .map(|field| field.name.as_str())
                    .collect();
                let what = format!(
                    "no field of class {}; there are {}",
                    ids.join(", "),
                    names.join(", ")
                );
                self.problem(format!("fields.{name}"), what);
            }
        }
    }

    pub(super) fn class_plan(
        &mut self,
        id: &str,
        spec: &Spec,
        fields: &BTreeMap<&str, Box<[Source]>>,
        status: &[Box<[Source]>],
    ) -> Option<ClassPlan> {
        let Some(class) = self.classes.get(id) else {
            self.problem(
                "class",
                format!("{id:?} is not in the catalogue of classes"),
            );
            return None;
        };
        let mut plans = Vec::new();
        for (slot, field) in class.fields().iter().enumerate() {
            let Some((spec, from)) = spec
                .fields
                .get(&field.name)
                .zip(fields.get(field.name.as_str()))
            else {
                continue;
            };
            match take(spec, field) {
                Ok(take) => plans.push(FieldPlan {
                    slot,
                    number: field.number,
                    from: from.clone(),
                    take,
                    series: spec.series,
                }),
                Err((part, what)) => {
                    self.problem(format!("fields.{}.{part}", field.name), what);
                }
            }
        }
        let mut statuses = Vec::new();
        for (spec, from) in spec.status.iter().zip(status) {
            match status_plan(spec, from, class) {
                Ok(plan) => statuses.push(plan),
                Err(what) => self.problem("status", what),
            }
        }
        Some(ClassPlan {
            class: class.index(),
            bands: self.bands(spec, class),
            heartbeat_ns: spec
                .report
                .heartbeat_s
                .map(|s| u64::from(s) * 1_000_000_000),
            told_by: told_by(&plans),
            fields: plans.into(),
            status: statuses.into(),
        })
    }

    /// Dead bands of a class, if a field has one or a heartbeat is set.
    pub(super) fn bands(&mut self, spec: &Spec, class: &Class) -> Option<Box<[Band]>> {
        let mut bands = Vec::new();
        for field in class.fields() {
            let width = spec.fields.get(&field.name).and_then(|spec| spec.dead_band);
            let Some(width) = width else { continue };
            if !width.is_finite() || width < 0.0 {
                let key = format!("fields.{}.dead_band", field.name);
                self.problem(key, "a width of 0 or more is wanted, in the class's unit");
            }
            bands.push(Band {
                field_number: field.number,
                width,
            });
        }
        let is_wanted = !bands.is_empty() || spec.report.heartbeat_s.is_some();
        is_wanted.then(|| bands.into())
    }
}
