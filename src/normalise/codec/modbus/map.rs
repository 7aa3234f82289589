//! The register map of a profile: what the profile writes, and the blocks that it comes to. A block is what one reply
//! answers; entries that say the same of unit, function, start and count are of one block.

/// The `[codec]` table of a profile.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Options {
    /// What is read, `[[codec.map]]`. No default: a reply alone does not say what it holds.
    pub(crate) map: Vec<Entry>,
    /// What becomes of a reply that no entry fits. Default `refuse`, since it mostly means a wrong map.
    pub(crate) unmapped: Unmapped,
}

/// What becomes of a reply that no entry fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unmapped {
    /// The frame is refused.
    #[default]
    Refuse,
    /// The frame has no record: the DTU polls more than the profile wants.
    Ignore,
}

/// One value of a reply.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// How the profile spells it. Entries of different replies may share a name.
    pub(crate) name: String,
    /// Only of this unit; default any.
    #[serde(default)]
    pub(crate) unit_id: Option<u8>,
    /// 1 coils, 2 discrete inputs, 3 holding registers, 4 input registers; default 3.
    #[serde(default = "holding_registers")]
    pub(crate) function: u8,
    /// First register (or bit) that the DTU asks for; compared where the request stands in the payload.
    #[serde(default)]
    pub(crate) start: Option<u16>,
    /// Registers (or bits) of the reply; default any number that holds the entries.
    #[serde(default)]
    pub(crate) count: Option<u16>,
    /// Where the value is: registers (or bits) from the reply's first; default 0.
    #[serde(default)]
    pub(crate) at: u16,
    /// What it is; default `u16`, and `bool` for functions 1 and 2.
    #[serde(default, rename = "type")]
    pub(crate) form: Option<Form>,
    /// Registers of a `bcd` (1 to 4, default 1) or `text` (1 to 123).
    #[serde(default)]
    pub(crate) registers: Option<u8>,
    /// Order of the bytes; default `ABCD`.
    #[serde(default)]
    pub(crate) order: Order,
    /// Digits behind the point of a whole number; default none.
    #[serde(default)]
    pub(crate) decimals: u8,
    /// Lowest bit of a `bits` or of a `bool` in a register; default 0.
    #[serde(default)]
    pub(crate) shift: u8,
    /// Bits of a `bits`; default 1.
    #[serde(default)]
    pub(crate) width: Option<u8>,
}

const fn holding_registers() -> u8 {
    3
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// 16 bits.
    U16,
    /// 16 bits, signed.
    I16,
    /// 32 bits.
    U32,
    /// 32 bits, signed.
    I32,
    /// 64 bits.
    U64,
    /// 64 bits, signed.
    I64,
    /// IEEE 754, 32 bits.
    F32,
    /// IEEE 754, 64 bits.
    F64,
    /// Some bits of a register.
    Bits,
    /// Four digits a register.
    Bcd,
    /// A coil, an input, or one bit of a register.
    Bool,
    /// Two characters a register.
    Text,
}

/// Order of the bytes of a value, A the most significant. Of 64 bits: words from the last (`CDAB`, `DCBA`), bytes of each
/// word changed over (`BADC`, `DCBA`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Order {
    #[default]
    /// Most significant first, as the standard has it.
    Abcd,
    /// Words from the last.
    Cdab,
    /// Bytes of each word changed over.
    Badc,
    /// Least significant first.
    Dcba,
}

/// One value of a block, ready to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    /// Place of its name.
    pub(super) code: u64,
    /// First byte, or for coils first bit, of the reply's values.
    pub(super) at: usize,
    pub(super) bytes: usize,
    pub(super) form: Form,
    pub(super) order: Order,
    pub(super) places: u8,
    pub(super) shift: u8,
    pub(super) width: u8,
}

/// What one reply answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) unit: Option<u8>,
    pub(super) function: u8,
    pub(super) start: Option<u16>,
    pub(super) count: Option<u16>,
    /// Bytes that its fields reach over.
    pub(super) reach: usize,
    pub(super) fields: Vec<Field>,
}

/// Whether a function reads bits; else registers.
pub(super) const fn reads_bits(function: u8) -> bool {
    matches!(function, 1 | 2)
}

/// Bytes that so many registers or bits take.
pub(super) fn bytes_of(function: u8, count: u16) -> usize {
    match usize::from(count) {
        bits if reads_bits(function) => bits.div_ceil(8),
        registers => registers * 2,
    }
}

impl Entry {
    /// Bytes of its registers.
    fn bytes(&self, form: Form) -> Result<usize, String> {
        let registers = match (form, self.registers) {
            (Form::Bcd, registers) => registers.unwrap_or(1),
            (Form::Text, Some(registers)) => registers,
            (Form::Text, None) => return Err("a text says its registers".to_owned()),
            (_, Some(_)) => return Err("registers is for bcd and text".to_owned()),
            (Form::U16 | Form::I16 | Form::Bits | Form::Bool, None) => 1,
            (Form::U32 | Form::I32 | Form::F32, None) => 2,
            (Form::U64 | Form::I64 | Form::F64, None) => 4,
        };
        let end = if form == Form::Text { 123 } else { 4 };
        if registers == 0 || registers > end {
            return Err(format!("registers is 1 to {end}"));
        }
        Ok(usize::from(registers) * 2)
    }

    /// The field of a name's place.
    fn field(&self, code: u64) -> Result<Field, String> {
        let of_bits = reads_bits(self.function);
        let form = self
            .form
            .unwrap_or(if of_bits { Form::Bool } else { Form::U16 });
        let width = self.width.unwrap_or(1);
        if !(1..=4).contains(&self.function) {
            return Err(format!(
                "function {} reads nothing: 1, 2, 3 or 4",
                self.function
            ));
        }
        if of_bits && form != Form::Bool {
            return Err("functions 1 and 2 have bool only".to_owned());
        }
        if width == 0 || width > 16 || u16::from(self.shift) + u16::from(width) > 16 {
            return Err("shift and width stay within 16 bits".to_owned());
        }
        let has_bits = form == Form::Bits || form == Form::Bool && !of_bits;
        if !has_bits && (self.shift, self.width) != (0, None) {
            return Err("shift and width are for bits and bool of registers".to_owned());
        }
        if form == Form::Text && matches!(self.order, Order::Cdab | Order::Dcba) {
            return Err("a text is ABCD or BADC".to_owned());
        }
        let has_decimals = !matches!(form, Form::F32 | Form::F64 | Form::Bool | Form::Text);
        if self.decimals > 18 || self.decimals > 0 && !has_decimals {
            return Err("decimals are for whole numbers, 0 to 18".to_owned());
        }
        let at = usize::from(self.at);
        Ok(Field {
            code,
            at: if of_bits { at } else { at * 2 },
            bytes: self.bytes(form)?,
            form,
            order: self.order,
            places: self.decimals,
            shift: self.shift,
            width,
        })
    }
}

/// The names in order of their places, and the blocks.
pub(super) fn compile(map: &[Entry]) -> Result<(Vec<String>, Vec<Block>), String> {
    let mut names: Vec<String> = Vec::new();
    let mut blocks: Vec<Block> = Vec::new();
    if map.is_empty() {
        return Err("map: a reply does not say what it holds, entries are wanted".to_owned());
    }
    for entry in map {
        let place = names.iter().position(|name| *name == entry.name);
        let place = place.unwrap_or_else(|| {
            names.push(entry.name.clone());
            names.len() - 1
        });
        let field = entry
            .field(u64::try_from(place).unwrap_or(u64::MAX))
            .map_err(|what| format!("map: {}: {what}", entry.name))?;
        let reach = match reads_bits(entry.function) {
            true => field.at / 8 + 1,
            false => field.at + field.bytes,
        };
        let most = entry
            .count
            .map_or(250, |count| bytes_of(entry.function, count));
        let beyond = entry
            .count
            .is_some_and(|count| reads_bits(entry.function) && entry.at >= count);
        if reach > most.min(250) || beyond {
            return Err(format!("map: {} lies behind the reply's end", entry.name));
        }
        let of = (entry.unit_id, entry.function, entry.start, entry.count);
        let same =
            |block: &&mut Block| (block.unit, block.function, block.start, block.count) == of;
        match blocks.iter_mut().find(same) {
            Some(block) => {
                block.reach = block.reach.max(reach);
                block.fields.push(field);
            }
            None => blocks.push(Block {
                unit: entry.unit_id,
                function: entry.function,
                start: entry.start,
                count: entry.count,
                reach,
                fields: vec![field],
            }),
        }
    }
    Ok((names, blocks))
}
