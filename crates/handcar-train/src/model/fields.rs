//! Which fields a model has weights of.

use super::Model;
use handcar_base::{Field, key};

impl Model {
    /// The fields that have a nonzero weight, ascending.
    pub fn kept_fields(&self) -> Vec<Field> {
        let mut fields: Vec<Field> = self.keys.iter().map(|&k| key::field_of(k)).collect();
        fields.dedup();
        fields
    }

    /// Names of the columns and crosses that the schema knows and that have no weight; none of formats whose fields are not known
    /// beforehand, which are Vowpal Wabbit's namespaces.
    pub fn dropped_fields(&self) -> Vec<String> {
        let kept = self.kept_fields();
        let dropped = |name: &String| self.schema.field_named(name).is_some_and(|id| !kept.contains(&id));
        self.schema.field_names().into_iter().filter(dropped).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Facts;
    use super::*;
    use handcar_base::key::compose;
    use handcar_data::{Dataset, FieldKind, FieldSpec, Schema};

    #[test]
    fn fields_without_a_weight_are_told_by_name() {
        let data = Dataset::from_csr(&[1.0, -1.0], &[0, 2, 4], &[0u32, 2, 1, 3], None, None).unwrap();
        let field = |(id, name): (u16, &str)| FieldSpec { id, name: name.into(), kind: FieldKind::Text };
        let fields = [(1, "city"), (2, "page"), (3, "size")].into_iter().map(field).collect();
        let schema = Schema { fields, ..data.schema().clone() };
        let keys = vec![compose(1, 0), compose(2, 4), compose(2, 5), compose(3, 9)];
        let data = data.with_keys(keys, schema).unwrap();
        let model = Model::from_solution(&data, &[0.0, 0.5, -0.5, 0.0], 0.0, Facts::default());
        assert_eq!((model.kept_fields(), model.dropped_fields()), (vec![2], vec!["city".into(), "size".to_string()]));
    }
}
