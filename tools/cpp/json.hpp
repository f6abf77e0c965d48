// A strict reader of JSON (RFC 8259), enough for the metadata of an exported file. It writes nothing.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace tl {

struct JsonError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Json {
  using List = std::vector<Json>;
  using Object = std::map<std::string, Json>;
  std::variant<std::nullptr_t, bool, double, std::string, List, Object> value = nullptr;

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value); }
  double number() const { return get<double>("a number"); }
  const std::string& text() const { return get<std::string>("a text"); }
  const List& list() const { return get<List>("a list"); }
  const Json* find(const std::string& key) const {
    const auto& object = get<Object>("an object");
    const auto found = object.find(key);
    return found == object.end() ? nullptr : &found->second;
  }
  const Json& at(const std::string& key) const {
    if (const Json* found = find(key)) return *found;
    throw JsonError("no '" + key + "'");
  }

 private:
  template <class T>
  const T& get(const char* expected) const {
    if (const T* found = std::get_if<T>(&value)) return *found;
    throw JsonError(std::string("another value where ") + expected + " was expected");
  }
};

class JsonReader {
 public:
  static Json read(const std::string& text) {
    JsonReader reader(text);
    Json value = reader.read_value(0);
    if (reader.peek() != '\0' || reader.at_ != text.size()) reader.fail();
    return value;
  }

 private:
  explicit JsonReader(const std::string& text) : text_(text) {}

  [[noreturn]] void fail() const { throw JsonError("no JSON at character " + std::to_string(at_)); }

  // The next character that is no blank, '\0' at the end; it is not consumed.
  char peek() {
    while (at_ < text_.size() && std::strchr(" \t\r\n", text_[at_]) != nullptr && text_[at_] != '\0') ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char wanted) {
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }
  void expect(const char* word) {
    const std::size_t length = std::strlen(word);
    if (text_.compare(at_, length, word) != 0) fail();
    at_ += length;
  }

  Json read_value(int depth) {
    // The reader calls itself for each level: a file must not choose how deep.
    if (depth > 64) fail();
    switch (peek()) {
      case '{': return {read_object(depth)};
      case '[': return {read_list(depth)};
      case '"': return {read_text()};
      case 't': expect("true"); return {true};
      case 'f': expect("false"); return {false};
      case 'n': expect("null"); return {nullptr};
      default: return {read_number()};
    }
  }

  Json::Object read_object(int depth) {
    Json::Object object;
    ++at_;
    if (take('}')) return object;
    do {
      if (peek() != '"') fail();
      std::string key = read_text();
      if (!take(':')) fail();
      object[std::move(key)] = read_value(depth + 1);
    } while (take(','));
    if (!take('}')) fail();
    return object;
  }

  Json::List read_list(int depth) {
    Json::List list;
    ++at_;
    if (take(']')) return list;
    do list.push_back(read_value(depth + 1));
    while (take(','));
    if (!take(']')) fail();
    return list;
  }

  double read_number() {
    const std::size_t start = at_;
    at_ = std::min(text_.find_first_not_of("0123456789+-.eE", start), text_.size());
    const std::string word = text_.substr(start, at_ - start);
    char* end = nullptr;
    const double number = std::strtod(word.c_str(), &end);
    if (word.empty() || word[0] == '+' || *end != '\0') fail();
    return number;
  }

  unsigned read_hex() {
    unsigned code = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      if (at_ >= text_.size() || std::isxdigit(static_cast<unsigned char>(text_[at_])) == 0) fail();
      code = code * 16 + static_cast<unsigned>(std::stoi(text_.substr(at_, 1), nullptr, 16));
    }
    return code;
  }

  std::string read_text() {
    std::string result;
    for (++at_;; ++at_) {
      if (at_ >= text_.size() || static_cast<unsigned char>(text_[at_]) < 0x20) fail();
      if (text_[at_] == '"') break;
      if (text_[at_] != '\\') {
        result += text_[at_];
        continue;
      }
      if (++at_ >= text_.size()) fail();
      static constexpr char kEscapes[] = "\"\\/bfnrt", kMeant[] = "\"\\/\b\f\n\r\t";
      if (text_[at_] == 'u') {
        ++at_;
        append_utf8(result, read_code_point());
        --at_;
      } else if (const char* found = std::strchr(kEscapes, text_[at_]); found != nullptr && *found != '\0') {
        result += kMeant[found - kEscapes];
      } else {
        fail();
      }
    }
    ++at_;
    return result;
  }

  // What is outside the basic plane is written as two escapes.
  unsigned read_code_point() {
    const unsigned high = read_hex();
    if (high < 0xd800 || high > 0xdfff) return high;
    expect("\\u");
    const unsigned low = read_hex();
    if (high > 0xdbff || low < 0xdc00 || low > 0xdfff) fail();
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
  }

  static void append_utf8(std::string& text, unsigned code) {
    if (code < 0x80) {
      text += static_cast<char>(code);
      return;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static constexpr unsigned kFirst[] = {0, 0xc0, 0xe0, 0xf0};
    text += static_cast<char>(kFirst[more] | code >> (6 * more));
    for (int i = more - 1; i >= 0; --i) text += static_cast<char>(0x80 | (code >> (6 * i) & 0x3f));
  }

  const std::string& text_;
  std::size_t at_ = 0;
};

}  // namespace tl
