#include <fmt/format.h>

#include <cctype>
#include <regex>

#include "cli/live.h"

namespace kalamdb::cli {

Result<Subscription> parse_subscription(std::string_view sql) {
  static const std::regex kOptions(R"(^([^]*?)\s+options\s*\(([^()]*)\)\s*$)", std::regex::icase);
  static const std::regex kOption(R"(^\s*(last_rows|batch_size|from|from_seq_id)\s*=\s*([0-9]{1,19})\s*$)",
                                  std::regex::icase);
  Subscription subscription{.sql = std::string(sql)};
  std::smatch match;
  const std::string text(sql);
  if (!std::regex_match(text, match, kOptions)) return subscription;
  subscription.sql = match[1];
  subscription.options = "{";
  std::string list = match[2];
  while (!list.empty()) {
    const size_t comma = list.find(',');
    const std::string item = list.substr(0, comma);
    list = comma == std::string::npos ? std::string() : list.substr(comma + 1);
    std::smatch option;
    if (!std::regex_match(item, option, kOption)) {
      return fail(
          ErrorCode::kInvalidInput,
          fmt::format("'{}' is not an option of a live view; there are last_rows=N, batch_size=N and from=N", item));
    }
    std::string name = option[1];
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (name == "from_seq_id") name = "from";
    if (subscription.options.size() > 1) subscription.options += ',';
    subscription.options += fmt::format("\"{}\":{}", name, option[2].str());
  }
  subscription.options += '}';
  return subscription;
}

}  // namespace kalamdb::cli
