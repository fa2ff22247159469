// DuckDB by itself, in process, as the yardstick: prints the seconds that one statement takes, as a JSON line.
//
//   duckdb_alone FILE|:memory: SQL [PREPARATION...]
// FILE is the database; the preparations run first and are not timed.
#include <duckdb.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace {

void run(duckdb::Connection& connection, const char* sql) {
  const auto result = connection.Query(sql);
  if (!result->HasError()) return;
  std::fprintf(stderr, "duckdb_alone: %s\n", result->GetError().c_str());
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: duckdb_alone FILE|:memory: SQL [PREPARATION...]\n");
    return 2;
  }
  duckdb::DuckDB database(argv[1]);
  duckdb::Connection connection(database);
  for (int i = 3; i < argc; ++i) run(connection, argv[i]);
  const auto start = std::chrono::steady_clock::now();
  run(connection, argv[2]);
  std::printf("{\"seconds\":%.6f}\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}
