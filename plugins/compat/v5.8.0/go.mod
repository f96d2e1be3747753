// The oldest supported release, pinned with its checksum. Releases of Tyk are not tagged as Go
// modules, so this is v5.8.0's commit. Nothing imports it: `make` asks only where its source is.
module github.com/meshpass/meshpass/plugins/compat/v5.8.0

go 1.23.4

require github.com/TykTechnologies/tyk v1.9.2-0.20250327144305-4c6253b5ceca
