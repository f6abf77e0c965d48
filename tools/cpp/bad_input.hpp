// The one error of this program, and reading a whole file.
#pragma once

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace tl {

// Something given to the program cannot be used: one line that says where, what was found, and what was expected.
struct BadInput : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline std::string read_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) throw BadInput(path + ": a folder, expected a file");
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw BadInput(path + ": cannot be read (" + std::strerror(errno) + ")");
  std::string bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (stream.bad()) throw BadInput(path + ": reading it failed midway");
  return bytes;
}

}  // namespace tl
