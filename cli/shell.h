// Runs what the user typed, wherever it came from (-c, -f, the prompt): SQL statements and backslash commands.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "cli/live.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/sql_split.h"

namespace kalamdb::cli {

class Shell {
 public:
  // Borrows `session` and `store`, which outlive it.
  Shell(Session& session, const CredentialStore& store, std::string instance, OutputOptions output, LiveOptions live)
      : session_(session), store_(store), instance_(std::move(instance)), output_(output), live_(live) {}

  // Each returns whether all went well; what went wrong has been printed.

  // One request: one statement, or several that belong together.
  bool run_sql(std::string_view sql);
  // One backslash command, with its backslash.
  bool run_meta(std::string_view line);
  // A whole script, statement by statement; stops at the first failure and says where it was.
  bool run_script(std::string_view text, std::string_view name);
  bool run_file(const std::string& path);
  // A live view on a SELECT, or on what a SUBSCRIBE TO statement describes.
  bool subscribe(std::string_view sql);

  bool wants_quit() const { return wants_quit_; }
  // Whether \refresh asked for the names behind completion to be read again; reading resets it.
  bool take_refresh() { return std::exchange(wants_refresh_, false); }
  Session& session() { return session_; }

 private:
  bool describe(std::string_view name);
  bool show_info();
  bool show_health();
  bool set_format(std::string_view name);
  bool run_as(std::string_view arguments);
  bool show_credentials();
  bool update_credentials(std::string_view arguments);
  bool report(const Error& error) const;

  Session& session_;
  const CredentialStore& store_;
  std::string instance_;
  OutputOptions output_;
  LiveOptions live_;
  bool wants_quit_ = false;
  bool wants_refresh_ = false;
};

// Prints what is stored for an instance, its tokens cut short.
void print_credential(const std::string& instance, const Credential& credential);

}  // namespace kalamdb::cli
