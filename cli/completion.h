// Completion at the prompt: which words could stand at the cursor.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kalamdb::cli {

// Sorted candidates for `prefix`, the word before the cursor. Words in capitals are keywords and follow the case of
// what was typed; the rest must match exactly.
std::vector<std::string> complete_word(std::string_view prefix, const std::vector<std::string>& words);

// The longest common beginning of `candidates`.
std::string common_prefix(const std::vector<std::string>& candidates);

// SQL keywords and backslash commands.
std::vector<std::string> static_words();

}  // namespace kalamdb::cli
