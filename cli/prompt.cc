#include "cli/prompt.h"

#include <fmt/format.h>
#include <histedit.h>
#include <simdjson.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/completion.h"
#include "cli/json.h"
#include "cli/settings.h"
#include "cli/sql_split.h"

namespace kalamdb::cli {

namespace {

namespace fs = std::filesystem;

class Prompt {
 public:
  Prompt(Shell& shell, int history_size) : shell_(shell), history_path_(kalam_directory() / "history") {
    editor_ = el_init("kalam", stdin, stdout, stderr);
    history_ = history_init();
    HistEvent event;
    history(history_, &event, H_SETSIZE, history_size);
    history(history_, &event, H_SETUNIQUE, 1);
    history(history_, &event, H_LOAD, history_path_.c_str());
    el_set(editor_, EL_CLIENTDATA, this);
    el_set(editor_, EL_PROMPT, &Prompt::prompt);
    el_set(editor_, EL_EDITOR, "emacs");
    el_set(editor_, EL_HIST, ::history, history_);
    el_set(editor_, EL_SIGNAL, 1);
    el_set(editor_, EL_ADDFN, "kalam-complete", "Complete the word", &Prompt::complete);
    el_set(editor_, EL_BIND, "^I", "kalam-complete", nullptr);
    el_set(editor_, EL_ADDFN, "kalam-interrupt", "Drop what has been typed", &Prompt::interrupt);
    el_set(editor_, EL_BIND, "^C", "kalam-interrupt", nullptr);
    el_set(editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_source(editor_, nullptr);  // ~/.editrc
  }

  ~Prompt() {
    history_end(history_);
    el_end(editor_);
  }
  Prompt(const Prompt&) = delete;
  Prompt& operator=(const Prompt&) = delete;

  void run() {
    read_names();
    while (!shell_.wants_quit()) {
      set_prompt();
      int count = 0;
      interrupted_ = false;
      const char* line = read_line(count);
      if (interrupted_) {
        fmt::print("^C\n");
        buffer_.clear();
        continue;
      }
      if (line == nullptr || count <= 0) break;  // ctrl-d
      buffer_.append(line, static_cast<size_t>(count));
      run_complete();
      if (shell_.take_refresh()) read_names();
    }
    if (!shell_.wants_quit()) fmt::print("\n");
  }

 private:
  static Prompt& self(EditLine* editor) {
    void* data = nullptr;
    el_get(editor, EL_CLIENTDATA, &data);
    return *static_cast<Prompt*>(data);
  }

  // Libedit reads on after an interrupt, so while it reads, ctrl-c is a key and no signal.
  const char* read_line(int& count) {
    termios terminal{};
    const bool is_terminal = tcgetattr(STDIN_FILENO, &terminal) == 0;
    const cc_t interrupt_key = terminal.c_cc[VINTR];
    if (is_terminal) {
      terminal.c_cc[VINTR] = _POSIX_VDISABLE;
      tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal);
    }
    const char* line = el_gets(editor_, &count);
    if (is_terminal && tcgetattr(STDIN_FILENO, &terminal) == 0) {
      terminal.c_cc[VINTR] = interrupt_key;
      tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal);
    }
    return line;
  }

  static char* prompt(EditLine* editor) { return self(editor).prompt_.data(); }

  static unsigned char interrupt(EditLine* editor, int) {
    self(editor).interrupted_ = true;
    return CC_NEWLINE;
  }

  // "kalam=> " at the start of a statement, "kalam-> " within one, with the namespace once one is in use.
  void set_prompt() {
    const std::string& space = shell_.session().current_namespace();
    prompt_ = fmt::format("kalam{}{}{}> ", space.empty() ? "" : ":", space, buffer_.empty() ? "=" : "-");
  }

  // Runs the statements that are complete and keeps the rest for the next line.
  void run_complete() {
    const std::string text = buffer_;
    const std::vector<SqlPiece> pieces = join_transactions(text, split_sql(text));
    buffer_.clear();
    for (const SqlPiece& piece : pieces) {
      if (!piece.complete) {
        buffer_ = text.substr(static_cast<size_t>(piece.text.data() - text.data()));
        return;
      }
      remember(piece);
      if (piece.meta && is_history_command(piece.text)) {
        print_history();
      } else {
        (void)(piece.meta ? shell_.run_meta(piece.text) : shell_.run_sql(piece.text));
      }
      if (shell_.wants_quit()) return;
    }
  }

  static bool is_history_command(std::string_view text) { return text == "\\h" || text == "\\history"; }

  void remember(const SqlPiece& piece) {
    // A password typed into a statement or command is not for the history file.
    std::string entry(piece.text);
    if (piece.meta && entry.starts_with("\\update-credentials")) return;
    if (strcasestr(entry.c_str(), "password") != nullptr) return;
    if (!piece.meta) entry += ';';
    HistEvent event;
    history(history_, &event, H_ENTER, entry.c_str());
    std::error_code error;
    fs::create_directories(history_path_.parent_path(), error);
    history(history_, &event, H_SAVE, history_path_.c_str());
    fs::permissions(history_path_, fs::perms::owner_read | fs::perms::owner_write, error);
  }

  void print_history() {
    HistEvent event;
    int number = 1;
    for (int more = history(history_, &event, H_LAST); more >= 0; more = history(history_, &event, H_PREV)) {
      fmt::print("{:5}  {}\n", number++, event.str);
    }
  }

  // The names of namespaces, tables and columns, for completion; none where the server gives none.
  void read_names() {
    words_ = static_words();
    for (const char* sql : {"SELECT name FROM system.namespaces ORDER BY name",
                            "SELECT DISTINCT table_schema || '.' || table_name FROM information_schema.tables",
                            "SELECT DISTINCT column_name FROM information_schema.columns"}) {
      const auto response = shell_.session().sql(sql);
      simdjson::dom::parser parser;
      simdjson::dom::element root;
      if (!response || parser.parse(response->body).get(root) != simdjson::SUCCESS) continue;
      for (const auto result : array_member(root, "results")) {
        for (const auto row : array_member(result, "rows")) {
          std::string_view name;
          if (row.at(0).get(name) == simdjson::SUCCESS) words_.emplace_back(name);
        }
      }
    }
  }

  static unsigned char complete(EditLine* editor, int) {
    const LineInfo* line = el_line(editor);
    const std::string_view before(line->buffer, static_cast<size_t>(line->cursor - line->buffer));
    const size_t blank = before.find_last_of(" \t\n(),=<>;");
    const std::string_view prefix = blank == std::string_view::npos ? before : before.substr(blank + 1);
    if (prefix.empty()) return CC_NORM;
    const std::vector<std::string> candidates = complete_word(prefix, self(editor).words_);
    if (candidates.empty()) return CC_ERROR;
    std::string whole = common_prefix(candidates);
    if (candidates.size() == 1) whole += ' ';
    if (whole.size() > prefix.size()) {
      // What was typed may differ in case from the candidate, so only the rest is inserted.
      return el_insertstr(editor, whole.substr(prefix.size()).c_str()) == 0 ? CC_REFRESH : CC_ERROR;
    }
    fmt::print("\n");
    for (const std::string& candidate : candidates) fmt::print("{}  ", candidate);
    fmt::print("\n");
    std::fflush(stdout);
    return CC_REDISPLAY;
  }

  Shell& shell_;
  fs::path history_path_;
  EditLine* editor_ = nullptr;
  History* history_ = nullptr;
  std::string prompt_;
  std::string buffer_;  // a statement that has begun
  std::vector<std::string> words_;
  bool interrupted_ = false;  // ctrl-c was pressed in this line
};

}  // namespace

int run_prompt(Shell& shell, int history_size) {
  shell.session().client().catch_interrupts();
  const std::string& version = shell.session().server_version();
  fmt::print("kalam {}, connected to {} as {}\n", KALAM_VERSION, shell.session().client().url().text(),
             shell.session().user());
  if (!version.empty()) fmt::print("Server version: {}\n", version);
  fmt::print("\\? lists commands, \\q leaves.\n\n");
  Prompt prompt(shell, history_size);
  prompt.run();
  return 0;
}

}  // namespace kalamdb::cli
