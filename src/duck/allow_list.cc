#include "duck/allow_list.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

namespace kalamdb::duck {
namespace {

// Names apart by one blank.
struct Group {
  std::string_view title;
  std::string_view names;
};

constexpr Group kFunctions[] = {
    {"Operators",
     "!__postfix !~~ !~~* % & && * ** + - -> ->> / // <-> << <=> <@ >> @ @-> @->> @> ^ ^@ | || ~ ~~ ~~* ~~~ "},
    {"Aggregates",
     "any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null arg_min "
     "arg_min_null argmax argmin array_agg avg bit_and bit_or bit_xor bitstring_agg bool_and bool_or corr count "
     "count_if count_star countif covar_pop covar_samp entropy favg first fsum group_concat histogram "
     "histogram_exact kahan_sum kurtosis kurtosis_pop last list listagg mad max max_by mean median min min_by mode "
     "product quantile quantile_cont quantile_disc regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope "
     "regr_sxx regr_sxy regr_syy reservoir_quantile sem skewness stddev stddev_pop stddev_samp string_agg sum "
     "sumkahan var_pop var_samp variance "},
    {"Dates and times",
     "age century current_date current_localtime current_localtimestamp current_time current_timestamp date_add "
     "date_diff date_part date_sub "
     "date_trunc datediff datepart datesub datetrunc day dayname dayofmonth dayofweek dayofyear decade epoch "
     "epoch_ms epoch_ns epoch_us era get_current_time get_current_timestamp hour isodow isoyear julian last_day "
     "make_date make_time make_timestamp make_timestamp_ms make_timestamp_ns make_timestamptz microsecond "
     "millennium millisecond minute month monthname nanosecond normalized_interval now quarter second strftime "
     "strptime time_bucket timezone timezone_hour timezone_minute to_centuries to_days to_decades to_hours "
     "to_microseconds to_millennia to_milliseconds to_minutes to_months to_quarters to_seconds to_timestamp "
     "to_weeks to_years today transaction_timestamp try_strptime uuid_extract_timestamp week weekday weekofyear "
     "year yearweek "},
    {"JSON",
     "array_to_json from_json from_json_strict json json_array json_array_length json_contains json_exists "
     "json_extract json_extract_path json_extract_path_text json_extract_string json_group_array json_group_object "
     "json_group_structure json_keys json_merge_patch json_object json_pretty json_quote json_structure "
     "json_transform json_transform_strict json_type json_valid json_value row_to_json to_json "},
    {"Lists, arrays, structs, maps, unions and enumerations",
     "aggregate apply array_aggr array_aggregate array_append array_apply array_cat array_concat array_contains "
     "array_cosine_distance array_cosine_similarity array_cross_product array_distance array_distinct "
     "array_dot_product array_extract array_filter array_grade_up array_has array_has_all array_has_any "
     "array_indexof array_inner_product array_intersect array_length array_negative_dot_product "
     "array_negative_inner_product array_pop_back array_pop_front array_position array_prepend array_push_back "
     "array_push_front array_reduce array_resize array_reverse array_reverse_sort array_select array_slice "
     "array_sort array_to_string array_to_string_comma_default array_transform array_unique array_value array_where "
     "array_zip cardinality element_at enum_code enum_first enum_last enum_range enum_range_boundary filter flatten "
     "generate_series generate_subscripts grade_up len list_aggr list_aggregate list_any_value list_append "
     "list_apply list_approx_count_distinct list_avg list_bit_and list_bit_or list_bit_xor list_bool_and "
     "list_bool_or list_cat list_concat list_contains list_cosine_distance list_cosine_similarity list_count "
     "list_distance list_distinct list_dot_product list_element list_entropy list_extract list_filter list_first "
     "list_grade_up list_has list_has_all list_has_any list_histogram list_indexof list_inner_product "
     "list_intersect list_kurtosis list_kurtosis_pop list_last list_mad list_max list_median list_min list_mode "
     "list_negative_dot_product list_negative_inner_product list_pack list_position list_prepend list_product "
     "list_reduce list_resize list_reverse list_reverse_sort list_select list_sem list_skewness list_slice "
     "list_sort list_stddev_pop list_stddev_samp list_string_agg list_sum list_transform list_unique list_value "
     "list_var_pop list_var_samp list_where list_zip map map_concat map_contains map_contains_entry "
     "map_contains_value map_entries map_extract map_extract_value map_from_entries map_keys map_values range "
     "reduce repeat row struct_concat struct_contains struct_extract struct_extract_at struct_has struct_indexof "
     "struct_insert struct_pack struct_position struct_update union_extract union_tag union_value unnest unlist "},
    {"Numbers",
     "abs acos acosh add asin asinh atan atan2 atanh bit_count cbrt ceil ceiling cos cosh cot degrees divide "
     "equi_width_bins even exp factorial fdiv floor fmod gamma gcd geomean geometric_mean greatest "
     "greatest_common_divisor hash isfinite isinf isnan lcm least least_common_multiple lgamma ln log log10 log2 "
     "mod multiply nextafter pi pow power radians random round round_even roundbankers sign signbit sin sinh sqrt "
     "subtract tan tanh trunc wavg weighted_avg xor "},
    {"Text, bits, bytes, UUIDs and the rest",
     "alias ascii bar base64 bin bit_length bit_position bitstring char_length character_length chr concat "
     "concat_ws contains current_role current_user damerau_levenshtein decode editdist3 encode ends_with format "
     "format_bytes formatreadabledecimalsize formatreadablesize from_base64 from_binary from_hex gen_random_uuid "
     "get_bit hamming hex ilike_escape instr jaccard jaro_similarity jaro_winkler_similarity lcase left "
     "left_grapheme length length_grapheme levenshtein like_escape lower lpad ltrim md5 md5_number md5_number_lower "
     "md5_number_upper mismatches nfc_normalize not_ilike_escape not_like_escape nullif octet_length ord "
     "parse_dirname parse_dirpath parse_filename parse_path position prefix printf regexp_escape regexp_extract "
     "regexp_extract_all regexp_full_match regexp_matches regexp_replace regexp_split_to_array "
     "regexp_split_to_table replace reverse right right_grapheme rpad rtrim set_bit sha1 sha256 split split_part "
     "session_user starts_with str_split str_split_regex string_split string_split_regex string_to_array strip_accents "
     "strlen "
     "strpos substr substring substring_grapheme suffix to_base to_base64 to_binary to_hex translate trim typeof "
     "ucase unbin unhex unicode upper url_decode url_encode user uuid uuid_extract_version uuidv4 uuidv7 "},
    {"Windows",
     "row_number rank dense_rank rank_dense percent_rank cume_dist ntile lag lead first_value last_value nth_value "
     "fill "},
    {"KalamDB's own",
     "cosine_distance inner_product json_as_text json_get json_get_bool json_get_float json_get_int json_get_json "
     "json_get_str json_length json_object_keys l2_distance snowflake_id ulid uuid_v7 "},
};

constexpr std::string_view kTableFunctions[] = {
    "generate_series", "json_each", "json_tree", "range", "repeat", "repeat_row", "unnest",
};

constexpr std::string_view kTypes[] = {"json"};

constexpr std::string_view kCatalogKeywords[] = {"current_catalog", "current_schema"};

constexpr std::string_view kDuckDbViews =
    "duckdb_columns duckdb_constraints duckdb_databases duckdb_indexes duckdb_logs duckdb_schemas duckdb_tables "
    "duckdb_types duckdb_views pg_am pg_attrdef pg_attribute pg_class pg_constraint pg_database pg_depend "
    "pg_description pg_enum pg_index pg_indexes pg_namespace pg_prepared_statements pg_proc pg_sequence "
    "pg_sequences pg_settings pg_tables pg_tablespace pg_type pg_views pragma_database_list sqlite_master "
    "sqlite_schema sqlite_temp_master sqlite_temp_schema ";

template <size_t N>
bool contains(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

template <typename Add>
void for_each_name(std::string_view names, Add add) {
  while (!names.empty()) {
    const size_t end = std::min(names.find(' '), names.size());
    if (end > 0) add(names.substr(0, end));
    names.remove_prefix(std::min(end + 1, names.size()));
  }
}

std::unordered_set<std::string_view> set_of(std::string_view names) {
  std::unordered_set<std::string_view> set;
  for_each_name(names, [&](std::string_view name) { set.insert(name); });
  return set;
}

}  // namespace

std::span<const std::string_view> allowed_functions() {
  static const std::vector<std::string_view> all = [] {
    std::vector<std::string_view> names;
    for (const Group& group : kFunctions) for_each_name(group.names, [&](auto name) { names.push_back(name); });
    return names;
  }();
  return all;
}

bool is_allowed_function(std::string_view name) {
  static const std::unordered_set<std::string_view> names(allowed_functions().begin(), allowed_functions().end());
  return names.contains(name);
}

bool is_aggregate_function(std::string_view name) {
  static const std::unordered_set<std::string_view> names = [] {
    const auto* group = std::ranges::find(kFunctions, "Aggregates", &Group::title);
    auto set = set_of(group->names);
    // Macros over aggregates.
    set.merge(
        set_of("geomean geometric_mean json_group_array json_group_object json_group_structure wavg weighted_avg"));
    return set;
  }();
  return names.contains(name);
}

bool is_allowed_table_function(std::string_view name) { return contains(kTableFunctions, name); }
bool is_allowed_type(std::string_view name) { return contains(kTypes, name); }
bool is_catalog_keyword(std::string_view name) { return contains(kCatalogKeywords, name); }

bool is_duckdb_view(std::string_view name) {
  static const std::unordered_set<std::string_view> names = set_of(kDuckDbViews);
  return names.contains(name);
}

}  // namespace kalamdb::duck
