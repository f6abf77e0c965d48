// A frame from a binary PPM file (P6, 8 bits a channel, RGB): what a camera driver would hand over in memory.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bad_input.hpp"

namespace tl {

struct Frame {
  std::int64_t width_px;
  std::int64_t height_px;
  std::vector<std::uint8_t> rgb;  // height x width x 3
};

inline Frame read_ppm(const std::string& path) {
  const std::string bytes = read_file(path);
  if (bytes.compare(0, 2, "P6") != 0) throw BadInput(path + ": no binary PPM picture, which begins with P6");
  std::size_t at = 2;
  const auto is_space = [&] { return at < bytes.size() && std::isspace(static_cast<unsigned char>(bytes[at])) != 0; };
  const auto next_number = [&](const char* what) {
    while (is_space() || (at < bytes.size() && bytes[at] == '#')) {
      at = bytes[at] == '#' ? std::min(bytes.find('\n', at), bytes.size()) : at + 1;
    }
    const std::size_t start = at;
    std::int64_t number = 0;
    for (; at < bytes.size() && bytes[at] >= '0' && bytes[at] <= '9' && number <= 65535; ++at)
      number = 10 * number + (bytes[at] - '0');
    if (at == start || number < 1 || number > 65535)
      throw BadInput(path + ": the header of the picture names no " + what + " from 1 to 65535");
    return number;
  };
  const auto width = next_number("width"), height = next_number("height"), highest = next_number("highest value");
  if (highest != 255)
    throw BadInput(path + ": highest value " + std::to_string(highest) + ", expected 255 (8 bits a channel)");
  if (!is_space()) throw BadInput(path + ": the header of the picture does not end with a blank");
  ++at;
  const auto expected = static_cast<std::size_t>(width * height * 3);
  if (bytes.size() - at != expected)
    throw BadInput(path + ": " + std::to_string(bytes.size() - at) + " bytes of pixels, expected " +
                   std::to_string(expected) + " (" + std::to_string(width) + " x " + std::to_string(height) + " x 3)");
  return {width, height, {bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.end()}};
}

}  // namespace tl
