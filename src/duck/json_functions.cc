#include "duck/json_functions.h"

#include <simdjson.h>

#include "duck/dialect.h"
#include "duckdb/common/types/vector.hpp"
#include "duckdb/planner/expression.hpp"
#include "model/value.h"

namespace kalamdb::duck {

using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::string_t;

namespace {

namespace ondemand = simdjson::ondemand;

std::string_view view_of(const string_t& text) { return {text.GetData(), text.GetSize()}; }

// Finds values in one document at a time.
class Reader {
 public:
  // False for what is no JSON. `trusted` documents are known to be.
  bool open(std::string_view json, bool trusted) {
    if (!trusted && !model::coerce(json, {.tag = model::TypeTag::kJson})) return false;
    // As the one element of an array, so that a document that is a scalar is a value like any other.
    text_.reserve(json.size() + 2 + simdjson::SIMDJSON_PADDING);
    text_.assign(1, '[').append(json).push_back(']');
    if (parser_.iterate(text_).get(document_) != simdjson::SUCCESS) return false;
    return document_.at(0).get(value) == simdjson::SUCCESS;
  }

  // Steps from `value` to its member or element; false when it has none of that name.
  bool step(std::string_view key) {
    ondemand::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) return false;
    for (auto field : object) {
      std::string_view name;
      if (field.unescaped_key().get(name) != simdjson::SUCCESS) return false;
      if (name == key) return field.value().get(value) == simdjson::SUCCESS;
    }
    return false;
  }
  bool step(int64_t index) {
    ondemand::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS) return false;
    if (index < 0) {
      size_t size = 0;
      if (array.count_elements().get(size) != simdjson::SUCCESS) return false;
      index += static_cast<int64_t>(size);
    }
    return index >= 0 && array.at(static_cast<size_t>(index)).get(value) == simdjson::SUCCESS;
  }

  // `value` as written, without the blanks between its tokens.
  std::optional<std::string_view> minified() {
    std::string_view raw;
    if (simdjson::to_json_string(value).get(raw) != simdjson::SUCCESS) return std::nullopt;
    out_.resize(raw.size() + simdjson::SIMDJSON_PADDING);
    size_t size = 0;
    if (simdjson::minify(raw.data(), raw.size(), out_.data(), size) != simdjson::SUCCESS) return std::nullopt;
    return std::string_view(out_.data(), size);
  }

  ondemand::value value;

 private:
  ondemand::parser parser_;
  ondemand::document document_;
  std::string text_;
  std::string out_;
};

// What one function makes of the value at the end of its path: write() is false where that is NULL.
struct AsJson {
  static LogicalType type() { return LogicalType::JSON(); }
  static bool write(Reader& reader, duckdb::Vector& result, idx_t row) {
    const auto text = reader.minified();
    if (!text) return false;
    duckdb::FlatVector::GetData<string_t>(result)[row] =
        duckdb::StringVector::AddString(result, text->data(), text->size());
    return true;
  }
};

bool is_null(Reader& reader) {
  bool null = true;
  return reader.value.is_null().get(null) != simdjson::SUCCESS || null;
}

struct AsJsonUnlessNull : AsJson {
  static bool write(Reader& reader, duckdb::Vector& result, idx_t row) {
    return !is_null(reader) && AsJson::write(reader, result, row);
  }
};

struct AsString {
  static LogicalType type() { return LogicalType::VARCHAR; }
  static bool write(Reader& reader, duckdb::Vector& result, idx_t row) {
    std::string_view text;
    if (reader.value.get_string().get(text) != simdjson::SUCCESS) return false;
    duckdb::FlatVector::GetData<string_t>(result)[row] =
        duckdb::StringVector::AddString(result, text.data(), text.size());
    return true;
  }
};

struct AsText : AsString {
  static bool write(Reader& reader, duckdb::Vector& result, idx_t row) {
    ondemand::json_type type{};
    if (reader.value.type().get(type) != simdjson::SUCCESS) return false;
    return type == ondemand::json_type::string ? AsString::write(reader, result, row)
                                               : AsJsonUnlessNull::write(reader, result, row);
  }
};

template <typename Number>
bool write_number(simdjson::simdjson_result<Number>&& number, duckdb::Vector& result, idx_t row) {
  return std::move(number).get(duckdb::FlatVector::GetData<Number>(result)[row]) == simdjson::SUCCESS;
}
struct AsInteger {
  static LogicalType type() { return LogicalType::BIGINT; }
  static bool write(Reader& reader, duckdb::Vector& result, idx_t row) {
    return write_number<int64_t>(reader.value.get_int64(), result, row);
  }
};
struct AsFloat {
  static LogicalType type() { return LogicalType::DOUBLE; }
  static bool write(Reader& reader, duckdb::Vector& result, idx_t row) {
    return write_number<double>(reader.value.get_double(), result, row);
  }
};
struct AsBoolean {
  static LogicalType type() { return LogicalType::BOOLEAN; }
  static bool write(Reader& reader, duckdb::Vector& result, idx_t row) {
    return write_number<bool>(reader.value.get_bool(), result, row);
  }
};

struct Length {
  static LogicalType type() { return LogicalType::BIGINT; }
  static bool write(Reader& reader, duckdb::Vector& result, idx_t row) {
    ondemand::json_type type{};
    size_t size = 0;
    if (reader.value.type().get(type) != simdjson::SUCCESS) return false;
    const auto error = type == ondemand::json_type::array    ? reader.value.count_elements().get(size)
                       : type == ondemand::json_type::object ? reader.value.count_fields().get(size)
                                                             : simdjson::INCORRECT_TYPE;
    duckdb::FlatVector::GetData<int64_t>(result)[row] = static_cast<int64_t>(size);
    return error == simdjson::SUCCESS;
  }
};

struct Keys {
  static LogicalType type() { return LogicalType::LIST(LogicalType::VARCHAR); }
  static bool write(Reader& reader, duckdb::Vector& result, idx_t row) {
    ondemand::object object;
    if (reader.value.get_object().get(object) != simdjson::SUCCESS) return false;
    auto& entry = duckdb::FlatVector::GetData<duckdb::list_entry_t>(result)[row];
    entry = {duckdb::ListVector::GetListSize(result), 0};
    for (auto field : object) {
      std::string_view name;
      if (field.unescaped_key().get(name) != simdjson::SUCCESS) return false;
      duckdb::ListVector::PushBack(result, duckdb::Value(std::string(name)));
      ++entry.length;
    }
    return true;
  }
};

struct Contains {
  static LogicalType type() { return LogicalType::BOOLEAN; }
  static bool write(Reader&, duckdb::Vector& result, idx_t row) {
    duckdb::FlatVector::GetData<bool>(result)[row] = true;
    return true;
  }
};

// The document and the keys of a chunk.
class Arguments {
 public:
  Arguments(duckdb::DataChunk& chunk) : trusted_(chunk.data[0].GetType().IsJSONType()), formats_(chunk.ColumnCount()) {
    for (idx_t i = 0; i < chunk.ColumnCount(); ++i) {
      chunk.data[i].ToUnifiedFormat(chunk.size(), formats_[i]);
      is_text_.push_back(chunk.data[i].GetType().id() == LogicalTypeId::VARCHAR);
    }
  }

  // Leads `reader` to the end of the path.
  bool find(Reader& reader, idx_t row) const {
    const auto* json = get<string_t>(0, row);
    if (json == nullptr || !reader.open(view_of(*json), trusted_)) return false;
    for (idx_t i = 1; i < formats_.size(); ++i) {
      if (is_text_[i]) {
        const auto* key = get<string_t>(i, row);
        if (key == nullptr || !reader.step(view_of(*key))) return false;
      } else {
        const auto* index = get<int64_t>(i, row);
        if (index == nullptr || !reader.step(*index)) return false;
      }
    }
    return true;
  }

 private:
  template <typename T>
  const T* get(idx_t argument, idx_t row) const {
    const auto& format = formats_[argument];
    const idx_t index = format.sel->get_index(row);
    return format.validity.RowIsValid(index) ? duckdb::UnifiedVectorFormat::GetData<T>(format) + index : nullptr;
  }

  bool trusted_;
  std::vector<duckdb::UnifiedVectorFormat> formats_;
  std::vector<bool> is_text_;
};

template <typename Output>
void run(duckdb::DataChunk& chunk, duckdb::ExpressionState&, duckdb::Vector& result) {
  thread_local Reader reader;
  const bool all_constant = chunk.AllConstant();
  const Arguments arguments(chunk);
  result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
  for (idx_t row = 0; row < (all_constant ? 1 : chunk.size()); ++row) {
    if (arguments.find(reader, row) && Output::write(reader, result, row)) continue;
    if constexpr (std::is_same_v<Output, Contains>) {
      duckdb::FlatVector::GetData<bool>(result)[row] = false;
    } else {
      duckdb::FlatVector::SetNull(result, row, true);
    }
  }
  if (all_constant) result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
}

// A text or a whole number; nullopt for what is neither.
std::optional<LogicalType> key_type(const LogicalType& given) {
  const LogicalType type = LogicalType::NormalizeType(given);
  if (type.IsIntegral()) return LogicalType::BIGINT;
  const bool is_text = type.id() == LogicalTypeId::VARCHAR || type.id() == LogicalTypeId::SQLNULL;
  return is_text ? std::optional(LogicalType::VARCHAR) : std::nullopt;
}

duckdb::unique_ptr<duckdb::FunctionData> bind(duckdb::ClientContext&, duckdb::ScalarFunction& function,
                                              duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>& arguments) {
  duckdb::vector<LogicalType> types;
  for (const auto& argument : arguments) {
    const LogicalType& given = argument->return_type;
    const auto type = key_type(given);
    if (types.empty() && (!type || type->id() != LogicalTypeId::VARCHAR)) {
      throw duckdb::BinderException("%s() reads JSON or text, not %s", function.name, given.ToString());
    }
    if (!type) {
      throw duckdb::BinderException("%s() takes keys as text and indexes as whole numbers, not %s", function.name,
                                    given.ToString());
    }
    types.push_back(given.IsJSONType() ? given : *type);
  }
  function.arguments = std::move(types);
  return nullptr;
}

template <typename Output>
duckdb::ScalarFunction getter(const char* name) {
  duckdb::ScalarFunction function(name, {LogicalType::ANY}, Output::type(), run<Output>, bind);
  function.varargs = LogicalType::ANY;
  function.null_handling = duckdb::FunctionNullHandling::SPECIAL_HANDLING;
  return function;
}

}  // namespace

std::vector<duckdb::ScalarFunction> json_functions() {
  return {
      getter<AsJsonUnlessNull>("json_get"), getter<AsJson>("json_get_json"),   getter<AsText>("json_as_text"),
      getter<AsString>("json_get_str"),     getter<AsInteger>("json_get_int"), getter<AsFloat>("json_get_float"),
      getter<AsBoolean>("json_get_bool"),   getter<Length>("json_length"),     getter<Keys>("json_object_keys"),
      getter<Contains>("json_contains"),    getter<AsJsonUnlessNull>("->"),    getter<AsText>("->>"),
      getter<AsJsonUnlessNull>(kJsonArrow), getter<AsText>(kJsonTextArrow),
  };
}

}  // namespace kalamdb::duck
