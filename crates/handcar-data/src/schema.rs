//! What the columns of a data set mean. Travels with the model, so that prediction reads its input the same way.

use crate::choose::Selection;
use crate::cross::Cross;
use crate::label::LabelKind;
use crate::vw;
use handcar_base::{Field, key};
use serde::{Deserialize, Serialize};

/// The version of [`Schema`] this build writes. Readers accept this one and older ones.
pub const SCHEMA_VERSION: u32 = 1;

/// A width that stands for keys as wide as they are.
pub(crate) const WHOLE_BITS: u32 = 64;
/// The width of Vowpal Wabbit's indices unless another is asked for.
const VW_BITS: u32 = 18;

/// Meaning of the columns of a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// [`SCHEMA_VERSION`] of the build that wrote it.
    pub version: u32,
    /// The text format the data came in.
    pub format: Format,
    /// Feature groups, ascending by id.
    pub fields: Vec<FieldSpec>,
    /// Which namespaces of Vowpal Wabbit's text are features; of other formats `fields` has all that are.
    #[serde(default, skip_serializing_if = "Selection::is_all")]
    pub select: Selection,
    /// Features of several fields, ascending by id where `fields` are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crosses: Vec<Cross>,
    /// Where labels come from and what they mean.
    pub label: LabelSpec,
    /// Column of example weights, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Width of the value part of a key, at most 52. Below that, values are hashed to this many bits.
    pub bits: u32,
    /// Seed of the hash.
    pub seed: u64,
    /// libsvm: ids count from 0, so that id 0 is allowed.
    #[serde(default)]
    pub zero_based: bool,
    /// How names become keys.
    #[serde(default, skip_serializing_if = "HashKind::is_default")]
    pub hash: HashKind,
    /// Treatment of missing values.
    pub missing: Missing,
    /// Treatment of values that training has not seen.
    pub unseen: Unseen,
}

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `label id:value id:value …`
    Libsvm,
    /// Label, 13 integers, 26 hexadecimal categories, separated by tabs.
    Criteo,
    /// Comma-separated with a header.
    Csv,
    /// Vowpal Wabbit's text: `label weight 'tag|namespace name:value … |namespace …`
    Vw,
    /// Rows handed in from memory.
    Memory,
}

impl std::str::FromStr for Format {
    type Err = String;
    fn from_str(s: &str) -> std::result::Result<Self, String> {
        match s {
            "libsvm" => Ok(Self::Libsvm),
            "criteo" => Ok(Self::Criteo),
            "csv" => Ok(Self::Csv),
            "vw" => Ok(Self::Vw),
            other => Err(format!("expected libsvm, criteo, csv or vw, got {other}")),
        }
    }
}

/// How the names of Vowpal Wabbit's text become keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HashKind {
    /// A field a namespace, names hashed within it; all other formats know no other way.
    #[default]
    Handcar,
    /// As Vowpal Wabbit does by default: 32 bits of MurmurHash3, cut to [`Schema::bits`], names of digits as numbers.
    Vw,
}

impl HashKind {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl std::str::FromStr for HashKind {
    type Err = String;
    fn from_str(s: &str) -> std::result::Result<Self, String> {
        match s {
            "handcar" => Ok(Self::Handcar),
            "vw" => Ok(Self::Vw),
            other => Err(format!("expected handcar or vw, got {other}")),
        }
    }
}

/// One feature group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldSpec {
    /// Field part of its keys.
    pub id: Field,
    /// Name of its column; empty for raw ids.
    pub name: String,
    /// How a cell becomes a key.
    pub kind: FieldKind,
}

/// How a cell becomes a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "type")]
pub enum FieldKind {
    /// The id is the key.
    Raw,
    /// An integer, bucketed: see [`crate::bucket`].
    Integer,
    /// Up to 8 hexadecimal digits: the number itself is the value part.
    Hex,
    /// Any text, hashed.
    Text,
    /// A real number: the bin between cut points. Cut points are quantiles of the first rows read.
    Bins {
        /// Ascending; value `x` falls into the bin of as many cuts as are `<= x`.
        cuts: Vec<f64>,
    },
    /// A number used as it is: one key, the number its value.
    Number,
}

/// Where labels come from and what they mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelSpec {
    /// What labels may be.
    #[serde(default, skip_serializing_if = "LabelKind::is_binary")]
    pub kind: LabelKind,
    /// The column's name, if the format names columns.
    pub column: Option<String>,
    /// The text that means +1; `None`: numbers, where 1 means +1 and 0 or -1 means -1.
    pub positive: Option<String>,
    /// The text that means -1, if it is known.
    pub negative: Option<String>,
}

/// Treatment of missing values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// A missing value is a category of its own.
    OwnCategory,
}

/// Treatment of values that training has not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unseen {
    /// They are counted and have weight zero.
    CountedZero,
}

impl Schema {
    /// A schema without fields.
    pub(crate) fn new(format: Format, bits: u32, seed: u64) -> Self {
        Self {
            version: SCHEMA_VERSION,
            format,
            fields: Vec::new(),
            select: Selection::default(),
            crosses: Vec::new(),
            label: LabelSpec::default(),
            weight: None,
            bits: bits.min(key::VALUE_BITS),
            seed,
            zero_based: false,
            hash: HashKind::Handcar,
            missing: Missing::OwnCategory,
            unseen: Unseen::CountedZero,
        }
    }

    /// The schema of raw ids.
    pub(crate) fn raw(format: Format, bits: u32, seed: u64, zero_based: bool) -> Self {
        let fields = vec![FieldSpec { id: 0, name: String::new(), kind: FieldKind::Raw }];
        Self { fields, zero_based, ..Self::new(format, bits, seed) }
    }

    /// The schema of Criteo's click logs.
    pub(crate) fn criteo(bits: u32, seed: u64) -> Self {
        let integer = (1..=13).map(|i| (format!("I{i}"), FieldKind::Integer));
        let category = (1..=26).map(|i| (format!("C{i}"), FieldKind::Hex));
        let fields = integer.chain(category).zip(1..).map(|((name, kind), id)| FieldSpec { id, name, kind }).collect();
        Self { fields, ..Self::new(Format::Criteo, bits, seed) }
    }

    /// The schema of Vowpal Wabbit's text. Its namespaces need not be known beforehand: each names its own field.
    pub(crate) fn vw(bits: u32, seed: u64, hash: HashKind) -> Self {
        match hash {
            HashKind::Handcar => Self::new(Format::Vw, bits, seed),
            HashKind::Vw => {
                let bits = if bits >= WHOLE_BITS { VW_BITS } else { bits };
                Self { hash, ..Self::raw(Format::Vw, bits, seed, false) }
            }
        }
    }

    /// The field with this id.
    pub fn field(&self, id: Field) -> Option<&FieldSpec> {
        self.fields.binary_search_by_key(&id, |f| f.id).ok().map(|i| &self.fields[i])
    }

    /// The field of this name: a column, a cross such as `a*b`, or a namespace of Vowpal Wabbit's text, any of which may come.
    /// `None`: there is none, or keys have no fields.
    pub fn field_named(&self, name: &str) -> Option<Field> {
        if self.format == Format::Vw {
            return (self.hash == HashKind::Handcar).then(|| vw::field(name, self));
        }
        let fields = self.fields.iter().map(|f| (f.name.clone(), f.id));
        let mut all = fields.chain(self.crosses.iter().map(|c| (c.name(), c.id)));
        all.find(|(known, _)| known == name && !name.is_empty()).map(|(_, id)| id)
    }

    /// Names of the fields and crosses that are known beforehand: none of raw ids and of Vowpal Wabbit's text.
    pub fn field_names(&self) -> Vec<String> {
        let fields = self.fields.iter().map(|f| f.name.clone()).chain(self.crosses.iter().map(Cross::name));
        fields.filter(|name| !name.is_empty() && self.format != Format::Vw).collect()
    }

    /// The field parts of the keys of all columns: those of the fields, then those of the crosses.
    pub(crate) fn columns(&self) -> impl Iterator<Item = Field> {
        self.fields.iter().map(|f| f.id).chain(self.crosses.iter().map(|c| c.id))
    }

    /// Whether every row has at most one key of each field, so that a field is one block.
    pub(crate) fn by_field(&self) -> bool {
        matches!(self.format, Format::Criteo | Format::Csv)
    }

    /// The value part of a token under this schema's width: the token itself, or its hash if a width was asked for.
    #[inline]
    pub(crate) fn narrow(&self, field: Field, token: u64) -> u64 {
        if self.bits >= key::VALUE_BITS || token == crate::bucket::MISSING {
            token
        } else {
            key::value_of(key::of_text(field, &token.to_le_bytes(), self.seed, self.bits)).max(1)
        }
    }
}
