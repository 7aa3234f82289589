//! What vendors write for a unit, and the UCUM code that they mean.
//!
//! A text is folded first: full width to half width, `μ` and `µ` to `u`, superscripts to digits, `㎥` to `m3`, `Ω` to
//! `Ohm`, dots and crosses of a product to `.`, blanks and `^` away. Then it must stand in the table as it is: case
//! carries meaning (`mPa`, `MPa`), so that only spellings which can mean one thing are there. Deliberately absent:
//! `mpa`, `ppt`, `度`, `C`, `F`, `g` for gravity, and `Nm3` (its volume is of another state of the gas).

/// Longest folded text, bytes.
const FOLDED_BYTES_MAX: usize = 24;

/// The UCUM code of a unit as it stands on the wire; none for a text that is unknown or could mean several. Asked
/// before a text is taken for UCUM itself, as `MB` would be megabel there. Walks a table of some hundred texts: for a
/// profile's compilation, not for each reading.
pub(crate) fn alias(text: &str) -> Option<&'static str> {
    let folded = Folded::of(text)?;
    ALIASES
        .iter()
        .find(|(_, spellings)| spellings.contains(&folded.as_str()))
        .map(|(code, _)| *code)
}

/// A text in the spelling of the table.
struct Folded {
    bytes: [u8; FOLDED_BYTES_MAX],
    len: usize,
}

impl Folded {
    /// None if it is longer than any spelling.
    fn of(text: &str) -> Option<Self> {
        let mut folded = Self {
            bytes: [0; FOLDED_BYTES_MAX],
            len: 0,
        };
        for c in text.chars() {
            // Full-width forms stand in the order of ASCII.
            let c = match c {
                '！'..='～' => char::from_u32(u32::from(c) - 0xFEE0)?,
                c => c,
            };
            if let Some((_, instead)) = FOLDS.iter().find(|(of, _)| *of == c) {
                folded.push(instead)?;
            } else if !c.is_whitespace() {
                folded.push(c.encode_utf8(&mut [0; 4]))?;
            }
        }
        Some(folded)
    }

    fn push(&mut self, text: &str) -> Option<()> {
        let end = self.len + text.len();
        self.bytes
            .get_mut(self.len..end)?
            .copy_from_slice(text.as_bytes());
        self.len = end;
        Some(())
    }

    fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

#[rustfmt::skip]
const FOLDS: &[(char, &str)] = &[
    ('μ', "u"), ('µ', "u"), ('Ω', "Ohm"), ('\u{2126}', "Ohm"),
    ('º', "°"), ('˚', "°"), ('℃', "°C"), ('℉', "°F"),
    ('¹', "1"), ('²', "2"), ('³', "3"), ('⁻', "-"), ('−', "-"), ('^', ""),
    ('·', "."), ('•', "."), ('⋅', "."), ('∙', "."), ('・', "."), ('×', "."), ('*', "."), ('∕', "/"), ('÷', "/"),
    ('㎜', "mm"), ('㎝', "cm"), ('㎞', "km"), ('㎡', "m2"), ('㎢', "km2"), ('㎥', "m3"), ('㎧', "m/s"), ('㎨', "m/s2"),
    ('㎍', "ug"), ('㎎', "mg"), ('㎏', "kg"), ('㎖', "mL"), ('ℓ', "L"),
    ('㎩', "Pa"), ('㎪', "kPa"), ('㎫', "MPa"), ('㎸', "kV"), ('㎷', "mV"), ('㎃', "mA"), ('㎂', "uA"),
    ('㎾', "kW"), ('㎿', "MW"), ('㏀', "kOhm"), ('㏁', "MOhm"), ('㎐', "Hz"), ('㎑', "kHz"), ('㎒', "MHz"),
    ('㏈', "dB"), ('㏗', "pH"), ('㏙', "ppm"),
];

/// Code, and the folded texts that mean it.
#[rustfmt::skip]
const ALIASES: &[(&str, &[&str])] = &[
    // temperature, humidity, share
    ("Cel", &["°C", "Cel", "degC", "摄氏度", "°c"]),
    ("[degF]", &["°F", "degF", "华氏度"]),
    ("K", &["K", "开尔文"]),
    ("%{RH}", &["%RH", "RH%", "%rh", "rh%", "%Rh", "Rh%", "%(RH)", "%R.H."]),
    ("%{LEL}", &["%LEL", "LEL%", "%lel", "lel%", "%(LEL)"]),
    ("%{vol}", &["%VOL", "VOL%", "%Vol", "Vol%", "%vol", "vol%"]),
    ("%", &["%", "百分比"]),
    ("[ppth]", &["‰"]),
    ("[ppm]", &["ppm", "PPM", "Ppm"]),
    ("[ppb]", &["ppb", "PPB", "Ppb"]),
    // counts
    ("{count}", &[
        "次", "个", "人", "辆", "只", "台", "件", "条", "户", "架", "张", "艘", "套", "头", "人次", "辆次", "车次", "pcs", "PCS",
    ]),
    ("/min", &[
        "r/min", "rpm", "RPM", "rev/min", "R/min", "转/分", "转/分钟", "次/分", "次/分钟", "次/min", "人/分钟", "bpm", "BPM",
    ]),
    ("/h", &["次/h", "次/小时", "人/小时", "辆/小时", "辆/h"]),
    ("/cm3", &["个/cm3", "/cm3"]),
    ("/L", &["个/L"]),
    ("/mL", &["个/mL", "个/ml", "cells/mL", "cells/ml"]),
    ("1", &["1", "无量纲"]),
    // water and air
    ("[pH]", &["pH", "PH", "ph", "pH值"]),
    ("{NTU}", &["NTU", "ntu"]),
    ("{FNU}", &["FNU", "fnu"]),
    ("uS/cm", &["uS/cm", "us/cm", "US/CM", "uS/CM", "US/cm"]),
    ("mS/cm", &["mS/cm", "ms/cm"]),
    ("S/m", &["S/m"]),
    ("mS/m", &["mS/m"]),
    ("ng/m3", &["ng/m3"]),
    ("ug/m3", &["ug/m3", "UG/M3", "ug/M3", "Ug/m3", "微克/立方米"]),
    ("mg/m3", &["mg/m3", "MG/M3", "mg/M3", "毫克/立方米"]),
    ("g/m3", &["g/m3"]),
    ("kg/m3", &["kg/m3", "KG/M3", "Kg/m3"]),
    ("ng/L", &["ng/L", "ng/l"]),
    ("ug/L", &["ug/L", "ug/l", "UG/L"]),
    ("mg/L", &["mg/L", "mg/l", "MG/L", "毫克/升"]),
    ("g/L", &["g/L", "g/l"]),
    ("mg/kg", &["mg/kg", "mg/KG"]),
    ("g/kg", &["g/kg"]),
    ("mol/L", &["mol/L", "mol/l"]),
    ("mmol/L", &["mmol/L", "mmol/l"]),
    // volume, flow
    ("m3", &["m3", "M3", "立方米", "方", "立方"]),
    ("10*4.m3", &["万m3", "万立方米", "万方"]),
    ("10*6.m3", &["百万m3", "百万立方米"]),
    ("10*8.m3", &["亿m3", "亿立方米"]),
    ("L", &["L", "l", "升"]),
    ("mL", &["mL", "ml", "毫升"]),
    ("m3/h", &["m3/h", "M3/h", "M3/H", "m3/H", "m3/hr", "立方米/小时", "立方米/时", "方/时"]),
    ("m3/s", &["m3/s", "M3/s", "M3/S", "m3/S", "立方米/秒"]),
    ("m3/min", &["m3/min", "M3/min", "m3/Min"]),
    ("m3/d", &["m3/d", "m3/天", "M3/d", "立方米/天"]),
    ("L/s", &["L/s", "l/s", "L/S", "升/秒"]),
    ("L/min", &["L/min", "l/min", "L/Min", "LPM", "lpm", "升/分"]),
    ("L/h", &["L/h", "l/h", "L/H", "升/小时"]),
    ("mL/min", &["mL/min", "ml/min"]),
    ("kg/h", &["kg/h", "KG/H", "Kg/h"]),
    ("t/h", &["t/h", "吨/小时", "吨/时"]),
    // length, area, mass
    ("um", &["um", "微米"]),
    ("mm", &["mm", "MM", "毫米"]),
    ("cm", &["cm", "CM", "厘米"]),
    ("m", &["m", "米"]),
    ("km", &["km", "KM", "Km", "千米", "公里"]),
    ("um/m", &["um/m", "uε"]),
    ("m2", &["m2", "M2", "平方米"]),
    ("km2", &["km2", "KM2", "平方公里"]),
    ("har", &["ha", "hm2", "公顷"]),
    ("mg", &["mg", "毫克"]),
    ("g", &["g", "克"]),
    ("kg", &["kg", "KG", "Kg", "千克", "公斤"]),
    ("t", &["t", "吨"]),
    // time, speed, angle
    ("us", &["us", "微秒"]),
    ("ms", &["ms", "毫秒"]),
    ("s", &["s", "sec", "秒"]),
    ("min", &["min", "Min", "MIN", "分钟"]),
    ("h", &["h", "hr", "hour", "hours", "小时"]),
    ("d", &["d", "day", "days", "天", "日"]),
    ("mm/s", &["mm/s", "毫米/秒"]),
    ("cm/s", &["cm/s"]),
    ("m/s", &["m/s", "M/S", "M/s", "m/S", "米/秒"]),
    ("m/min", &["m/min", "米/分"]),
    ("km/h", &["km/h", "KM/H", "Km/h", "km/H", "kph", "公里/小时", "千米/小时", "公里/时"]),
    ("[mi_i]/h", &["mph", "MPH"]),
    ("[kn_i]", &["kn", "knot", "knots", "节"]),
    ("m/s2", &["m/s2", "m/S2", "M/S2"]),
    ("mm/h", &["mm/h", "毫米/小时"]),
    ("mm/min", &["mm/min"]),
    ("mm/d", &["mm/d"]),
    ("deg", &["°", "deg", "Deg"]),
    ("deg/s", &["°/s", "deg/s", "dps"]),
    // force, pressure
    ("N", &["N", "牛"]),
    ("kN", &["kN", "KN"]),
    ("N.m", &["N.m", "Nm", "N.M"]),
    ("Pa", &["Pa", "PA", "pa", "帕"]),
    ("hPa", &["hPa", "HPa", "hpa", "HPA", "百帕"]),
    ("kPa", &["kPa", "KPa", "Kpa", "kpa", "KPA", "千帕"]),
    ("MPa", &["MPa", "Mpa", "MPA", "兆帕"]),
    ("bar", &["bar", "Bar", "BAR"]),
    ("mbar", &["mbar"]),
    ("att", &["kgf/cm2", "kg/cm2", "公斤/平方厘米"]),
    ("[psi]", &["psi", "PSI"]),
    ("mm[Hg]", &["mmHg", "mmhg", "MMHG", "毫米汞柱"]),
    ("[in_i'Hg]", &["inHg"]),
    ("mm[H2O]", &["mmH2O", "mmh2o"]),
    ("cm[H2O]", &["cmH2O", "cmh2o"]),
    ("m[H2O]", &["mH2O", "mh2o", "米水柱"]),
    // electricity
    ("uV", &["uV"]),
    ("mV", &["mV", "mv", "毫伏"]),
    ("V", &["V", "v", "伏", "伏特"]),
    ("kV", &["kV", "KV", "kv", "Kv", "千伏"]),
    ("uA", &["uA", "ua"]),
    ("mA", &["mA", "ma", "毫安"]),
    ("A", &["A", "安", "安培"]),
    ("kA", &["kA", "KA"]),
    ("mOhm", &["mOhm"]),
    ("Ohm", &["Ohm", "ohm", "欧", "欧姆"]),
    ("kOhm", &["kOhm", "KOhm", "kohm", "Kohm", "千欧"]),
    ("MOhm", &["MOhm", "Mohm", "兆欧"]),
    ("W", &["W", "w", "瓦"]),
    ("kW", &["kW", "KW", "kw", "Kw", "千瓦"]),
    ("MW", &["MW", "兆瓦"]),
    ("W.h", &["Wh", "W.h", "wh"]),
    ("kW.h", &["kWh", "kW.h", "KWH", "KWh", "kwh", "Kwh", "KW.H", "KW.h", "kw.h", "kW-h", "千瓦时"]),
    ("MW.h", &["MWh", "MWH", "MW.h", "兆瓦时"]),
    ("10*4.kW.h", &["万kWh", "万kW.h", "万千瓦时"]),
    ("V.A", &["VA", "V.A"]),
    ("kV.A", &["kVA", "KVA", "kV.A", "kva"]),
    ("kV.A.h", &["kVAh", "KVAH", "kV.A.h"]),
    ("V.A{reactive}", &["var", "Var", "VAr", "VAR"]),
    ("kV.A{reactive}", &["kvar", "kVar", "kVAr", "Kvar", "KVar", "KVAR", "kVAR"]),
    ("kV.A.h{reactive}", &["kvarh", "kVarh", "kVArh", "Kvarh", "KVarh", "KVARH", "kvar.h"]),
    ("A.h", &["Ah", "A.h"]),
    ("mA.h", &["mAh", "mA.h"]),
    ("Hz", &["Hz", "HZ", "hz", "赫兹"]),
    ("kHz", &["kHz", "KHz", "KHZ", "khz"]),
    ("MHz", &["MHz", "MHZ"]),
    ("V/m", &["V/m", "v/m"]),
    ("kV/m", &["kV/m", "KV/m", "kv/m"]),
    ("A/m", &["A/m"]),
    ("uT", &["uT"]),
    ("mT", &["mT"]),
    ("pC", &["pC"]),
    // heat, light, radiation
    ("J", &["J", "焦耳"]),
    ("kJ", &["kJ", "KJ", "kj"]),
    ("MJ", &["MJ", "兆焦"]),
    ("GJ", &["GJ", "吉焦"]),
    ("W/m2", &["W/m2", "w/m2", "W/M2", "瓦/平方米"]),
    ("MJ/m2", &["MJ/m2", "MJ/M2"]),
    ("lx", &["lux", "Lux", "LUX", "lx", "Lx", "LX", "勒克斯"]),
    ("klx", &["klux", "Klux", "KLux", "klx", "Klx"]),
    ("lm", &["lm"]),
    ("cd/m2", &["cd/m2", "nit", "nits"]),
    ("umol/m2/s", &["umol/m2/s", "umol/(m2.s)", "umol/m2.s", "umol.m-2.s-1", "umolm-2s-1"]),
    ("nSv/h", &["nSv/h"]),
    ("uSv/h", &["uSv/h", "usv/h", "uSv/H"]),
    ("nGy/h", &["nGy/h", "ngy/h"]),
    ("uGy/h", &["uGy/h"]),
    ("Bq/m3", &["Bq/m3", "bq/m3"]),
    ("Bq/L", &["Bq/L"]),
    // levels, data
    ("dB", &["dB", "db", "DB", "分贝"]),
    ("dB{A}", &["dBA", "dB(A)", "dBa", "db(A)", "DB(A)", "dba", "db(a)", "dB(a)"]),
    ("dB{mW}", &["dBm", "DBM", "dbm", "DBm"]),
    ("bit/s", &["bps", "bit/s", "b/s"]),
    ("kbit/s", &["kbps", "Kbps", "KBPS", "kbit/s", "kb/s"]),
    ("Mbit/s", &["Mbps", "Mbit/s", "MBPS", "Mb/s"]),
    ("Gbit/s", &["Gbps", "Gbit/s"]),
    ("By", &["byte", "Byte", "bytes", "Bytes", "字节"]),
    ("kBy", &["KB", "kB"]),
    ("MBy", &["MB"]),
    ("GBy", &["GB"]),
    ("TBy", &["TB"]),
    ("kBy/s", &["KB/s", "kB/s"]),
    ("MBy/s", &["MB/s"]),
];

#[cfg(test)]
pub(super) fn codes() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    ALIASES.iter().copied()
}
