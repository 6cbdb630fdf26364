"""What the tests may expect of PostgreSQL beyond what every database has.

Where this opens too much, the test fails in the direct run, too, and is not counted.
"""
from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

OPEN = """
    autocommit boolean_col_expressions check_constraint_reflection comment_reflection computed_columns
    computed_columns_default_persisted computed_columns_reflect_persisted computed_columns_stored cross_schema_fk_reflection ctes ctes_on_dml
    ctes_with_update_delete date_historic datetime_historic deferrable_fks delete_from except_ fetch_expression fetch_first
    fetch_no_order_by fetch_ties fk_constraint_option_reflection_ondelete_noaction
    fk_constraint_option_reflection_ondelete_restrict fk_constraint_option_reflection_onupdate_restrict
    foreign_key_constraint_option_reflection_ondelete foreign_key_constraint_option_reflection_onupdate full_returning
    graceful_disconnects group_by_complex_expression has_temp_table identity_columns identity_columns_standard
    implicitly_named_constraints index_reflects_included_columns indexes_with_expressions infinity_floats
    insert_executemany_returning insert_from_select intersect isolation_level json_array_indexes json_type
    mod_operator_as_percent_sign multivalues_inserts nullsordering on_update_cascade order_by_col_from_union
    parens_in_union_contained_select_w_limit_offset percent_schema_names
    precision_numerics_enotation_large precision_numerics_many_significant_digits
    precision_numerics_retains_significant_digits reflect_tables_no_columns reflects_pk_names regexp_match
    regexp_replace returning savepoints schema_reflection schemas sequences sequences_optional server_side_cursors
    sql_expression_limit_offset supports_distinct_on supports_is_distinct_from symbol_names_w_double_quote
    table_value_constructor temp_table_reflection temporary_tables temporary_views time_timezone
    tuple_in tuple_in_w_empty two_phase_transactions unbounded_varchar unicode_connections unicode_ddl
    unique_constraint_reflection unusual_column_name_characters update_from update_where_target_in_subquery
    view_column_reflection view_reflection views window_functions
"""


class Requirements(SuiteRequirements):
    """PostgreSQL's."""

    def get_isolation_levels(self, config):
        """Levels that the dialect knows, and the server's default."""
        return {
            "default": "READ COMMITTED",
            "supported": ["SERIALIZABLE", "READ COMMITTED", "REPEATABLE READ", "AUTOCOMMIT"],
        }


for name in OPEN.split():
    setattr(Requirements, name, property(lambda self: exclusions.open()))
