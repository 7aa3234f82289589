//! What an operator says anew about the alarms of a class: a message with the option `alarms_of` names a class and fields of it,
//! and their thresholds take the place of the class's own. Nothing else of a class can be changed so: its fields, units
//! and lane are what devices and the platform have agreed on.

use prost_reflect::{DescriptorPool, ExtensionDescriptor, MessageDescriptor, Value};

use super::{
    class::{Class, PropertyOptions},
    rules::{Place, Rule, field_place, message_place, option, thresholds},
};

/// The options that change alarms.
#[derive(Debug)]
pub(super) struct AlarmsOf {
    alarms_of: ExtensionDescriptor,
    property: ExtensionDescriptor,
    /// Fields that are changed already, by place of their class and number.
    changed: Vec<(usize, u32)>,
}

impl AlarmsOf {
    /// The options as the pool declares them; none if it does not.
    pub(super) fn of(pool: &DescriptorPool) -> Option<Self> {
        let named =
            |name: &str| pool.get_extension_by_name(&format!("sensegate.classes.v1.{name}"));
        Some(Self {
            alarms_of: named("alarms_of")?,
            property: named("property")?,
            changed: Vec::new(),
        })
    }

    /// The id of the class whose alarms a message changes; none for any other message.
    pub(super) fn class_id(&self, message: &MessageDescriptor) -> Option<String> {
        let options = message.options();
        if !options.has_extension(&self.alarms_of) {
            return None;
        }
        match &*options.get_extension(&self.alarms_of) {
            Value::String(id) => Some(id.clone()),
            _ => None,
        }
    }

    /// Puts the thresholds of a message's fields in force for its class; none: no such class.
    pub(super) fn change(
        &mut self,
        message: &MessageDescriptor,
        class: Option<&mut Class>,
    ) -> Result<(), (Place, Rule)> {
        let Some(class) = class else {
            return Err((message_place(message), Rule::AlarmsOf("no such class")));
        };
        for descriptor in message.fields() {
            let broken = |rule| (field_place(message, &descriptor), rule);
            let mut fields = class.fields.iter_mut();
            let Some(field) = fields.find(|field| field.name == descriptor.name()) else {
                return Err(broken(Rule::AlarmsOf("the class has no such field")));
            };
            if self.changed.contains(&(class.index, field.number)) {
                return Err(broken(Rule::AlarmsOf("the field's are changed already")));
            }
            self.changed.push((class.index, field.number));
            let property: PropertyOptions =
                option(&descriptor.options(), &self.property).unwrap_or_default();
            field.thresholds =
                thresholds(&property.thresholds, &field.kind, field.number).map_err(broken)?;
            class.plan.put_thresholds(field.number, &field.thresholds);
        }
        Ok(())
    }
}
