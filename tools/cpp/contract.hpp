// What an exported file says of itself, under the metadata key `tl`.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "bad_input.hpp"
#include "json.hpp"

namespace tl {

// The meaning of inputs, outputs and metadata that this program was written for.
constexpr int kContractVersion = 2;

struct Label {
  std::string name;
  std::string state;  // what the light shows; "-" where the class has no one state
};

struct Contract {
  std::vector<Label> labels;  // by class id
  bool takes_bgr;
};

inline Contract read_contract(const std::string& metadata, const std::string& path) {
  try {
    const Json data = JsonReader::read(metadata);
    // First of all: in another contract the rest may mean something else.
    if (const double version = data.at("contract").number(); version != kContractVersion) {
      char found[32];
      std::snprintf(found, sizeof found, "%g", version);
      throw BadInput(path + ": contract version " + found + ", expected " + std::to_string(kContractVersion) +
                     "; export it with the tl that this program belongs to");
    }
    if (data.at("variant").text() != "detector")
      throw BadInput(path + ": holds the network alone, without letterbox and suppression; export it without --raw");
    const std::string& order = data.at("color_order").text();
    if (order != "RGB" && order != "BGR")
      throw BadInput(path + ": order of colours '" + order + "', expected RGB or BGR");
    Contract contract{{}, order == "BGR"};
    for (const Json& entry : data.at("classes").list()) {
      const std::string& name = entry.at("name").text();
      const Json& state = entry.at("state");
      contract.labels.push_back({name, state.is_null() ? "-" : state.text()});
    }
    if (contract.labels.empty()) throw JsonError("no class");
    return contract;
  } catch (const JsonError& error) {
    throw BadInput(path + ": the metadata of tl are damaged (" + error.what() + "); export the file again");
  }
}

}  // namespace tl
