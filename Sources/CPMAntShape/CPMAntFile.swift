package import LeafFormat
package import LeafSystem

/// A `.leaf` file that holds a CPM-Ant: its header, and the model that it means.
package struct CPMAntFile: Sendable, Equatable {
    package let leaf: LeafFile
    package let shape: ModelShape

    package var configuration: ModelConfiguration { shape.configuration }
    package var path: String { leaf.path }
    package var weights: WeightFormat { leaf.weights }

    /// Reads and checks the header; the weights are not touched.
    ///
    /// - Parameter allowance: has to hold the header.
    /// - Throws: `.io` if the file cannot be read, `.badInput` naming what is wrong, `.budget` if the header is too
    ///   large for the allowance.
    package static func open(path: String, _ allowance: inout HeapAllowance) throws(LeafError) -> CPMAntFile {
        var shape: ModelShape?
        let leaf = try LeafFile.open(path: path, &allowance) { json, weights throws(LeafError) in
            let asked = ModelShape(try ModelConfiguration(json: json, source: path), weights: weights)
            shape = asked
            return asked.file
        }
        guard let shape else { throw LeafError(.badInput, "\(path) holds no model") }
        return CPMAntFile(leaf: leaf, shape: shape)
    }

    /// The same with as much memory as the header needs.
    package static func open(path: String) throws(LeafError) -> CPMAntFile {
        var allowance = HeapAllowance.unlimited
        return try open(path: path, &allowance)
    }

    /// A file that was just written with `shape`.
    package init(leaf: LeafFile, shape: ModelShape) {
        self.leaf = leaf
        self.shape = shape
    }

    /// Makes the header that a model of this size would have, which is enough to plan with. No such file exists.
    ///
    /// - Throws: `.badInput`, which does not happen, because the presets are within the format's limits.
    package init(preset: ModelPreset, weights: WeightFormat = .int8) throws(LeafError) {
        shape = ModelShape(preset.configuration, weights: weights)
        leaf = try LeafFile(unwritten: shape.file, weights: weights, name: preset.rawValue)
    }
}

extension LeafWriter.Contents {
    /// - Throws: `.badInput` for a configuration outside of the format's limits.
    package init(
        configuration: ModelConfiguration, weights: WeightFormat, vocabulary: [UInt8]? = nil,
        dictionary: [UInt8]? = nil, metadata: [(String, String)] = []
    ) throws(LeafError) {
        try configuration.checkLimits(in: "the model")
        self.init(
            shape: ModelShape(configuration, weights: weights).file, weights: weights, vocabulary: vocabulary,
            dictionary: dictionary, metadata: metadata)
    }
}
