#include "duck/functions.h"

#include <cmath>

#include "duck/json_functions.h"
#include "duck/query_state.h"
#include "duck/types.h"
#include "duckdb/catalog/catalog.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/parser/parsed_data/create_scalar_function_info.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"

namespace kalamdb::duck {

using duckdb::idx_t;
using duckdb::LogicalType;

namespace {

using BindInput = duckdb::FunctionBindExpressionInput;
using BoundExpression = duckdb::unique_ptr<duckdb::Expression>;

BoundExpression constant(duckdb::Value value) {
  return duckdb::make_uniq<duckdb::BoundConstantExpression>(std::move(value));
}
// What is asked for here changes from request to request.
const QueryState& request_of(BindInput& input) {
  auto& state = QueryState::of(input.context);
  state.mentions_request = true;
  return state;
}

duckdb::timestamp_t now(BindInput& input) {
  QueryState::of(input.context).mentions_time = true;
  return duckdb::timestamp_t(request_of(input).now_us);
}

// Functions without arguments that have one value for the whole statement: bound to it as a constant.
BoundExpression bind_now(BindInput& input) { return constant(duckdb::Value::TIMESTAMP(now(input))); }
BoundExpression bind_date(BindInput& input) {
  return constant(duckdb::Value::DATE(duckdb::Timestamp::GetDate(now(input))));
}
BoundExpression bind_time(BindInput& input) {
  return constant(duckdb::Value::TIME(duckdb::Timestamp::GetTime(now(input))));
}
BoundExpression bind_user(BindInput& input) { return constant(duckdb::Value(request_of(input).current_user)); }
BoundExpression bind_role(BindInput& input) { return constant(duckdb::Value(request_of(input).current_role)); }

struct StatementConstant {
  const char* name;
  LogicalType type;
  duckdb::function_bind_expression_t bind;
};

void unreachable(duckdb::DataChunk&, duckdb::ExpressionState&, duckdb::Vector&) {
  throw duckdb::InternalException("a statement constant was not bound");
}

// A volatile function without arguments; `next` is called once a row.
template <typename T, typename Next>
duckdb::ScalarFunction generator(const char* name, const LogicalType& type, Next next) {
  duckdb::ScalarFunction function(
      name, {}, type, [next](duckdb::DataChunk& arguments, duckdb::ExpressionState&, duckdb::Vector& result) {
        result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
        auto* values = duckdb::FlatVector::GetData<T>(result);
        for (idx_t row = 0; row < arguments.size(); ++row) values[row] = next(result);
      });
  function.stability = duckdb::FunctionStability::VOLATILE;
  return function;
}

// One argument of a vector function: ARRAY or LIST of FLOAT.
class FloatVectors {
 public:
  FloatVectors(duckdb::Vector& vector, idx_t count) {
    is_array_ = vector.GetType().id() == duckdb::LogicalTypeId::ARRAY;
    idx_t elements = 0;
    if (is_array_) {
      size_ = duckdb::ArrayType::GetSize(vector.GetType());
      vector.Flatten(count);
      elements = count * size_;
    } else {
      elements = duckdb::ListVector::GetListSize(vector);
    }
    vector.ToUnifiedFormat(count, format_);
    auto& child = is_array_ ? duckdb::ArrayVector::GetEntry(vector) : duckdb::ListVector::GetEntry(vector);
    child.Flatten(elements);
    floats_ = duckdb::FlatVector::GetData<float>(child);
    validity_ = &duckdb::FlatVector::Validity(child);
  }

  // nullopt for NULL and for a vector with a NULL in it.
  std::optional<std::span<const float>> at(idx_t row) const {
    const idx_t index = format_.sel->get_index(row);
    if (!format_.validity.RowIsValid(index)) return std::nullopt;
    idx_t begin = index * size_, length = size_;
    if (!is_array_) {
      const auto entry = duckdb::UnifiedVectorFormat::GetData<duckdb::list_entry_t>(format_)[index];
      begin = entry.offset;
      length = entry.length;
    }
    if (!validity_->AllValid()) {
      for (idx_t i = begin; i < begin + length; ++i)
        if (!validity_->RowIsValid(i)) return std::nullopt;
    }
    return std::span<const float>(floats_ + begin, length);
  }

 private:
  bool is_array_ = false;
  idx_t size_ = 0;
  duckdb::UnifiedVectorFormat format_;
  const float* floats_ = nullptr;
  duckdb::ValidityMask* validity_ = nullptr;
};

using Distance = double (*)(std::span<const float>, std::span<const float>);

double inner_product(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}
double l2_distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - b[i];
    sum += difference * difference;
  }
  return std::sqrt(sum);
}
double cosine_distance(std::span<const float> a, std::span<const float> b) {
  const double lengths = std::sqrt(inner_product(a, a) * inner_product(b, b));
  return lengths == 0 ? 1.0 : 1.0 - inner_product(a, b) / lengths;
}

void run_distance(Distance distance, const std::string& name, duckdb::DataChunk& arguments, duckdb::Vector& result) {
  const idx_t count = arguments.size();
  const bool all_constant = arguments.AllConstant();
  FloatVectors left(arguments.data[0], count), right(arguments.data[1], count);
  result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
  auto* values = duckdb::FlatVector::GetData<float>(result);
  for (idx_t row = 0; row < (all_constant ? 1 : count); ++row) {
    const auto a = left.at(row), b = right.at(row);
    if (!a || !b) {
      duckdb::FlatVector::SetNull(result, row, true);
      continue;
    }
    if (a->size() != b->size()) {
      throw duckdb::InvalidInputException("%s() dimension mismatch: row has %d, query has %d", name, a->size(),
                                          b->size());
    }
    values[row] = static_cast<float>(distance(*a, *b));
  }
  if (all_constant) result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
}

// EMBEDDING columns are read in place; JSON text and other lists are cast.
duckdb::unique_ptr<duckdb::FunctionData> bind_vectors(
    duckdb::ClientContext&, duckdb::ScalarFunction& function,
    duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>& arguments) {
  for (idx_t i = 0; i < arguments.size(); ++i) {
    const LogicalType& type = arguments[i]->return_type;
    const bool is_embedding = type.id() == duckdb::LogicalTypeId::ARRAY &&
                              duckdb::ArrayType::GetChildType(type).id() == duckdb::LogicalTypeId::FLOAT;
    function.arguments[i] = is_embedding ? type : LogicalType::LIST(LogicalType::FLOAT);
  }
  return nullptr;
}

duckdb::ScalarFunction distance_function(const char* name, Distance distance) {
  const std::string upper = duckdb::StringUtil::Upper(name);
  return duckdb::ScalarFunction(
      name, {LogicalType::ANY, LogicalType::ANY}, LogicalType::FLOAT,
      [distance, upper](duckdb::DataChunk& arguments, duckdb::ExpressionState&, duckdb::Vector& result) {
        run_distance(distance, upper, arguments, result);
      },
      bind_vectors);
}

}  // namespace

void register_functions(duckdb::DatabaseInstance& database, const ValueGenerators& generators) {
  auto& catalog = duckdb::Catalog::GetSystemCatalog(database);
  const auto transaction = duckdb::CatalogTransaction::GetSystemTransaction(database);
  const auto add = [&](duckdb::ScalarFunction function) {
    duckdb::CreateScalarFunctionInfo info(std::move(function));
    info.internal = true;
    info.on_conflict = duckdb::OnCreateConflict::REPLACE_ON_CONFLICT;
    catalog.CreateFunction(transaction, info);
  };

  const StatementConstant constants[] = {
      {"now", LogicalType::TIMESTAMP, bind_now},
      {"get_current_timestamp", LogicalType::TIMESTAMP, bind_now},
      {"current_timestamp", LogicalType::TIMESTAMP, bind_now},
      {"transaction_timestamp", LogicalType::TIMESTAMP, bind_now},
      {"current_localtimestamp", LogicalType::TIMESTAMP, bind_now},
      {"current_date", LogicalType::DATE, bind_date},
      {"today", LogicalType::DATE, bind_date},
      {"current_time", LogicalType::TIME, bind_time},
      {"get_current_time", LogicalType::TIME, bind_time},
      {"current_localtime", LogicalType::TIME, bind_time},
      {"current_user", LogicalType::VARCHAR, bind_user},
      {"session_user", LogicalType::VARCHAR, bind_user},
      {"user", LogicalType::VARCHAR, bind_user},
      {"current_role", LogicalType::VARCHAR, bind_role},
  };
  for (const auto& [name, type, bind] : constants) {
    duckdb::ScalarFunction function(name, {}, type, unreachable);
    function.bind_expression = bind;
    add(std::move(function));
  }

  if (generators.snowflake_id) {
    add(generator<int64_t>("snowflake_id", LogicalType::BIGINT,
                           [next = generators.snowflake_id](duckdb::Vector&) { return next(); }));
  }
  if (generators.uuid_v7) {
    add(generator<duckdb::hugeint_t>("uuid_v7", LogicalType::UUID,
                                     [next = generators.uuid_v7](duckdb::Vector&) { return from_uuid(next()); }));
  }
  if (generators.ulid) {
    add(generator<duckdb::string_t>("ulid", LogicalType::VARCHAR, [next = generators.ulid](duckdb::Vector& result) {
      return duckdb::StringVector::AddString(result, next());
    }));
  }

  add(distance_function("cosine_distance", cosine_distance));
  add(distance_function("l2_distance", l2_distance));
  add(distance_function("inner_product", inner_product));
  for (auto& function : json_functions()) add(std::move(function));
}

}  // namespace kalamdb::duck
