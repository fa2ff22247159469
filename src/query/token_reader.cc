#include "query/token_reader.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace kalamdb::query {

namespace {

char lower_char(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

bool is_name(duck::TokenKind kind) { return kind == duck::TokenKind::kWord || kind == duck::TokenKind::kQuotedWord; }

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower_char(x) == lower_char(y); });
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), lower_char);
  return result;
}

std::string redact_secrets(std::string_view sql) {
  constexpr std::array<std::string_view, 4> kSecretWords{"password", "credentials", "oauth", "token"};
  const auto is_secret_word = [&](std::string_view word) {
    return std::ranges::any_of(kSecretWords,
                               [&](std::string_view secret) { return equal_ignoring_case(word, secret); });
  };
  const auto tokens = duck::tokenize(sql);
  if (!tokens) {
    const std::string text = lower(sql);
    const bool may_hold = std::ranges::any_of(
        kSecretWords, [&](std::string_view secret) { return text.find(secret) != std::string::npos; });
    return may_hold ? "***" : std::string(sql);
  }
  std::string out;
  size_t copied = 0;
  bool behind_secret_word = false;
  for (const duck::Token& token : *tokens) {
    if (token.kind == duck::TokenKind::kString && behind_secret_word) {
      out.append(sql.substr(copied, token.offset - copied)).append("'***'");
      copied = token.offset + token.length;
    }
    // `PASSWORD 'x'` and `password = 'x'` alike.
    const std::string_view text = duck::text(sql, token);
    behind_secret_word = is_secret_word(text) || (behind_secret_word && text == "=");
  }
  return out.append(sql.substr(copied));
}

bool TokenReader::peek(std::span<const std::string_view> words) const {
  size_t at = next_;
  for (const std::string_view word : words) {
    if (at == tokens_.size() || tokens_[at].kind == duck::TokenKind::kQuotedWord ||
        tokens_[at].kind == duck::TokenKind::kString || !equal_ignoring_case(duck::text(sql_, tokens_[at]), word)) {
      return false;
    }
    ++at;
  }
  return true;
}

bool TokenReader::accept(std::span<const std::string_view> words) {
  if (!peek(words)) return false;
  next_ += words.size();
  return true;
}

Error TokenReader::unexpected(std::string_view expected) const {
  std::string message = "Expected " + std::string(expected);
  message += at_end() ? " at the end of the statement" : " near '" + std::string(token_text().substr(0, 64)) + "'";
  return {ErrorCode::kInvalidSql, std::move(message)};
}

Result<> TokenReader::expect(std::string_view word) {
  if (!accept(word)) return fail(unexpected(word));
  return {};
}

Result<Name> TokenReader::name(std::string_view what) {
  if (at_end() || !is_name(token().kind)) return fail(unexpected(what));
  Name result{duck::unquote(sql_, token()), token().kind == duck::TokenKind::kQuotedWord};
  skip();
  return result;
}

Result<QualifiedName> TokenReader::qualified_name(std::string_view what) {
  KALAM_TRY(const Name first, name(what));
  if (!accept(".")) return QualifiedName{"", lower(first.text)};
  KALAM_TRY(const Name second, name(what));
  return QualifiedName{lower(first.text), lower(second.text)};
}

Result<std::string> TokenReader::string(std::string_view what) {
  if (at_end() || token().kind != duck::TokenKind::kString) return fail(unexpected(what));
  std::string result = duck::unquote(sql_, token());
  skip();
  return result;
}

Result<std::string> TokenReader::string_or_word(std::string_view what) {
  if (!at_end() && is_name(token().kind)) {
    KALAM_TRY(Name word, name(what));
    return std::move(word.text);
  }
  return string(what);
}

Result<int64_t> TokenReader::integer(std::string_view what) {
  int64_t value = 0;
  if (!at_end() && token().kind == duck::TokenKind::kNumber) {
    const std::string_view digits = token_text();
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error == std::errc{} && end == digits.data() + digits.size()) {
      skip();
      return value;
    }
  }
  return fail(unexpected(what));
}

Result<> TokenReader::end() const {
  if (!at_end()) return fail(unexpected("the end of the statement"));
  return {};
}

}  // namespace kalamdb::query
