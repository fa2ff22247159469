#include "duck/guards.h"

#include <atomic>
#include <mutex>

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/catalog/catalog_entry/scalar_function_catalog_entry.hpp"
#include "duckdb/catalog/catalog_entry/schema_catalog_entry.hpp"
#include "duckdb/execution/expression_executor_state.hpp"

namespace kalamdb::duck {

using duckdb::Allocator;
using duckdb::idx_t;

namespace {

// Memory of vectors ---------------------------------------------------------------------------------------------------

constexpr idx_t kLargeBytes = 64 << 10;  // smaller blocks, those of most vectors, are not counted

std::atomic<int64_t> large_bytes{0};
std::atomic<int64_t> large_bytes_max{0};

void take(idx_t size) {
  if (size < kLargeBytes) return;
  if (size > kMaxVectorBytes) {
    throw duckdb::OutOfMemoryException("a value of %llu bytes is larger than %llu", size, kMaxVectorBytes);
  }
  const auto bytes = static_cast<int64_t>(size);
  if (large_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes <= large_bytes_max) return;
  large_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  throw duckdb::OutOfMemoryException("the vectors of all queries take too much");
}

void give_back(idx_t size) {
  if (size >= kLargeBytes) large_bytes.fetch_sub(static_cast<int64_t>(size), std::memory_order_relaxed);
}

duckdb::data_ptr_t allocate(duckdb::PrivateAllocatorData* data, idx_t size) {
  take(size);
  return Allocator::DefaultAllocate(data, size);
}

void release(duckdb::PrivateAllocatorData* data, duckdb::data_ptr_t pointer, idx_t size) {
  give_back(size);
  Allocator::DefaultFree(data, pointer, size);
}

duckdb::data_ptr_t reallocate(duckdb::PrivateAllocatorData* data, duckdb::data_ptr_t pointer, idx_t old_size,
                              idx_t size) {
  take(size);
  give_back(old_size);
  return Allocator::DefaultReallocate(data, pointer, old_size, size);
}

// Work of functions ---------------------------------------------------------------------------------------------------

// The arguments of one call, row by row.
class Arguments {
 public:
  explicit Arguments(duckdb::DataChunk& chunk)
      : rows_(chunk.AllConstant() ? 1 : chunk.size()), formats_(chunk.ColumnCount()) {
    for (idx_t i = 0; i < chunk.ColumnCount(); ++i) {
      chunk.data[i].ToUnifiedFormat(chunk.size(), formats_[i]);
      types_.push_back(chunk.data[i].GetType().InternalType());
    }
  }

  idx_t rows() const { return rows_; }
  // The text; empty for NULL and for arguments that are not there or are no text.
  std::string_view text(idx_t argument, idx_t row) const {
    const auto* value = get<duckdb::string_t>(argument, row, duckdb::PhysicalType::VARCHAR);
    return value ? std::string_view(value->GetData(), value->GetSize()) : std::string_view();
  }
  // Its bytes, or a list's elements.
  double size(idx_t argument, idx_t row) const {
    const auto* list = get<duckdb::list_entry_t>(argument, row, duckdb::PhysicalType::LIST);
    return static_cast<double>(list ? list->length : text(argument, row).size());
  }
  // The number, or an interval's microseconds; 0 likewise.
  double number(idx_t argument, idx_t row) const {
    using duckdb::PhysicalType;
    if (const auto* wide = get<int64_t>(argument, row, PhysicalType::INT64)) return static_cast<double>(*wide);
    if (const auto* size = get<uint64_t>(argument, row, PhysicalType::UINT64)) return static_cast<double>(*size);
    if (const auto* narrow = get<int32_t>(argument, row, PhysicalType::INT32)) return *narrow;
    if (const auto* interval = get<duckdb::interval_t>(argument, row, PhysicalType::INTERVAL)) {
      return static_cast<double>(duckdb::Interval::GetMicro(*interval));
    }
    return 0;
  }
  idx_t count() const { return formats_.size(); }

 private:
  template <typename T>
  const T* get(idx_t argument, idx_t row, duckdb::PhysicalType type) const {
    if (argument >= formats_.size() || types_[argument] != type) return nullptr;
    const auto& format = formats_[argument];
    const idx_t index = format.sel->get_index(row);
    return format.validity.RowIsValid(index) ? duckdb::UnifiedVectorFormat::GetData<T>(format) + index : nullptr;
  }

  idx_t rows_;
  std::vector<duckdb::UnifiedVectorFormat> formats_;
  std::vector<duckdb::PhysicalType> types_;
};

// What the call for one row may take: bytes or elements of its result, or steps.
using Estimate = double (*)(const Arguments&, idx_t row);

double repeated(const Arguments& arguments, idx_t row) { return arguments.size(0, row) * arguments.number(1, row); }
double resized(const Arguments& arguments, idx_t row) { return arguments.number(1, row); }

double ranged(const Arguments& arguments, idx_t row) {
  const double first = arguments.count() > 1 ? arguments.number(0, row) : 0;
  const double last = arguments.number(arguments.count() > 1 ? 1 : 0, row);
  const double step = arguments.count() > 2 ? arguments.number(2, row) : 1;
  return step == 0 ? 0 : (last - first) / step;
}

double padded_bytes(const Arguments& arguments, idx_t row) { return arguments.number(1, row) * 4; }
double bits(const Arguments& arguments, idx_t row) { return arguments.number(1, row) / 8; }

double replaced_bytes(const Arguments& arguments, idx_t row) {
  const double found = static_cast<double>(arguments.text(0, row).size()) /
                       std::max<double>(1, static_cast<double>(arguments.text(1, row).size()));
  return found * static_cast<double>(arguments.text(2, row).size());
}

double regexp_replaced_bytes(const Arguments& arguments, idx_t row) {
  const auto size = static_cast<double>(arguments.text(0, row).size());
  const std::string_view by = arguments.text(2, row);
  // A match may be empty, and \1 is a whole match.
  return (size + 1) * static_cast<double>(by.size()) + size * static_cast<double>(std::ranges::count(by, '\\'));
}

// Widths in a format: the largest number in it, or in its arguments where a width may come from there.
double formatted_bytes(const Arguments& arguments, idx_t row) {
  double width = 0, widest = 0;
  const std::string_view format = arguments.text(0, row);
  for (const char c : format) {
    width = c >= '0' && c <= '9' ? width * 10 + (c - '0') : 0;
    widest = std::max(widest, width);
  }
  const bool takes_widths = format.find('*') != std::string_view::npos || format.find(":{") != std::string_view::npos;
  for (idx_t i = 1; takes_widths && i < 16; ++i) widest = std::max(widest, arguments.number(i, row));
  return widest * static_cast<double>(1 + std::ranges::count(format, '%') + std::ranges::count(format, '{'));
}

double compared_steps(const Arguments& arguments, idx_t row) {
  return static_cast<double>(arguments.text(0, row).size()) * static_cast<double>(arguments.text(1, row).size());
}

struct Bound {
  std::string_view function;
  Estimate estimate;
  double most;  // of all rows of a vector
};

constexpr double kMaxSteps = 1e9;         // a second or two
constexpr double kMaxElements = 2 << 20;  // DuckDB keeps each of a constant list's in some 100 bytes
constexpr Bound kBounds[] = {
    {"array_resize", resized, kMaxElements},
    {"bitstring", bits, kMaxVectorBytes / 16.0},
    {"generate_series", ranged, kMaxElements},
    {"list_resize", resized, kMaxElements},
    {"range", ranged, kMaxElements},
    {"repeat", repeated, kMaxVectorBytes},
    {"lpad", padded_bytes, kMaxVectorBytes},
    {"rpad", padded_bytes, kMaxVectorBytes},
    {"replace", replaced_bytes, kMaxVectorBytes},
    {"regexp_replace", regexp_replaced_bytes, 8.0 * kMaxVectorBytes},  // far more than it will be
    {"format", formatted_bytes, kMaxVectorBytes},
    {"printf", formatted_bytes, kMaxVectorBytes},
    {"levenshtein", compared_steps, kMaxSteps},
    {"editdist3", compared_steps, kMaxSteps},
    {"damerau_levenshtein", compared_steps, kMaxSteps / 16},  // and as many numbers at a time
    {"jaro_similarity", compared_steps, kMaxSteps},
    {"jaro_winkler_similarity", compared_steps, kMaxSteps},
};

void check(const Bound& bound, duckdb::DataChunk& chunk) {
  const Arguments arguments(chunk);
  double sum = 0;
  for (idx_t row = 0; row < arguments.rows(); ++row) sum += std::max(bound.estimate(arguments, row), 0.0);
  if (sum > bound.most) {
    throw duckdb::OutOfMemoryException("%s() of arguments as large as these", std::string(bound.function));
  }
}

void guard(duckdb::ScalarFunction& function, const Bound* bound) {
  if (!function.function) return;
  function.function = [inner = std::move(function.function), bound](
                          duckdb::DataChunk& chunk, duckdb::ExpressionState& state, duckdb::Vector& result) {
    if (state.HasContext() && state.GetContext().interrupted.load(std::memory_order_relaxed)) {
      throw duckdb::InterruptException();
    }
    if (bound != nullptr) check(*bound, chunk);
    inner(chunk, state, result);
  };
}

}  // namespace

void bound_vector_memory(uint64_t bytes) {
  large_bytes_max = static_cast<int64_t>(bytes);
  static std::once_flag once;
  std::call_once(once, [] {
    auto& allocator = Allocator::DefaultAllocatorReference();
    // Blocks that it gave out before go back to it.
    static const auto before = allocator;
    allocator = duckdb::make_shared_ptr<Allocator>(allocate, release, reallocate, nullptr);
  });
}

void guard_functions(duckdb::DuckDB& database) {
  duckdb::Connection connection(database);
  auto& context = *connection.context;
  connection.BeginTransaction();
  auto& schema = duckdb::Catalog::GetSystemCatalog(context).GetSchema(context, DEFAULT_SCHEMA);
  schema.Scan(context, duckdb::CatalogType::SCALAR_FUNCTION_ENTRY, [&](duckdb::CatalogEntry& entry) {
    if (entry.type != duckdb::CatalogType::SCALAR_FUNCTION_ENTRY) return;
    const auto* bound = std::ranges::find(kBounds, std::string_view(entry.name), &Bound::function);
    for (auto& function : entry.Cast<duckdb::ScalarFunctionCatalogEntry>().functions.functions) {
      guard(function, bound == std::end(kBounds) ? nullptr : bound);
    }
  });
  connection.Commit();
}

}  // namespace kalamdb::duck
