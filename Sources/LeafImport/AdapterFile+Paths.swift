extension AdapterFile {
    /// Where the files lie that it was read from, so that no result takes the place of one.
    package var paths: [String] {
        let weights = Set(factors.flatMap { [$0.a.storage.path, $0.b.storage.path] }).sorted()
        return weights + ["config.json", "adapter_config.json"].map { "\(path)/\($0)" }
    }
}
