import FoundationEssentials
package import LeafSystem

extension ModelConfiguration {
    /// Refuses numbers that no CPM-Ant model has, before anything is computed or allocated from them.
    ///
    /// The limits allow models ten times as wide as any published one. They keep every product within 64 bits, every
    /// int8 sum within 32 bits and every bias bucket within 16 bits.
    /// - Parameter source: the file, for the message.
    package func checkLimits(in source: String) throws(LeafError) {
        func check(_ limits: [(String, Int, ClosedRange<Int>)]) throws(LeafError) {
            for (name, value, range) in limits where !range.contains(value) {
                throw LeafError(
                    .badInput, "\(source): \(name) is \(value), outside \(range.lowerBound) to \(range.upperBound)")
            }
        }
        try check([
            ("vocab_size", vocabSize, 1...(1 << 24)), ("dim_model", dimModel, 1...(1 << 17)),
            ("num_heads", numHeads, 1...4096), ("dim_head", dimHead, 1...4096), ("dim_ff", dimFF, 1...(1 << 17)),
            ("num_layers", layers.count, 1...4096), ("position_bias_num_buckets", positionBiasNumBuckets, 4...60_000),
            ("prompt_types", promptTypes, 1...4096), ("prompt_length", promptLength, 1...4096),
            ("segment_types", segmentTypes, 1...255),
        ])
        // Sums and products use only numbers that are within the limits above.
        try check([
            ("num_heads * dim_head", dimAttention, 1...(1 << 17)),
            ("position_bias_max_distance", positionBiasMaxDistance, (positionBiasNumBuckets / 4 + 1)...(1 << 30)),
            ("rows of the position bias", positionBiasRows, 1...65_534),
            ("numbers of the position bias", positionBiasRows * numHeads, 1...(1 << 26)),
            ("numbers of the soft prompts", promptRows * dimModel, 1...(1 << 28)),
        ])
        for (index, layer) in layers.enumerated() {
            try check([
                ("heads of layer \(index)", numHeads(ofLayer: index), 1...numHeads),
                ("dim_head of layer \(index)", dimHead(ofLayer: index), 1...dimHead),
                ("dim_ff of layer \(index)", dimFF(ofLayer: index), 1...dimFF),
            ])
            let heads = layer.heads ?? []
            guard zip(heads, heads.dropFirst()).allSatisfy(<), heads.allSatisfy((0..<numHeads).contains) else {
                throw LeafError(.badInput, "\(source): the heads of layer \(index) are \(heads), of \(numHeads)")
            }
        }
        guard eps.isFinite, eps > 0 else { throw LeafError(.badInput, "\(source): eps is \(eps), not a small number") }
    }

    /// The configuration in a `.leaf` header: CPM-Live's keys, `scale_folded`, `layer_sizes` if layers differ, and
    /// `own_head` if there is one.
    package var json: String {
        let masks = layers.map { "[\(!$0.hasAttention),\(!$0.hasFeedForward)]" }.joined(separator: ",")
        let sizes = isUniform ? "" : ",\"layer_sizes\":[\(layers.map(\.sizesJSON).joined(separator: ","))]"
        let head = hasOwnHead ? ",\"own_head\":true" : ""
        return """
            {"vocab_size":\(vocabSize),"dim_model":\(dimModel),"num_heads":\(numHeads),"dim_head":\(dimHead),\
            "dim_ff":\(dimFF),"num_layers":\(layers.count),"mask_modules":[\(masks)],\
            "position_bias_num_buckets":\(positionBiasNumBuckets),\
            "position_bias_max_distance":\(positionBiasMaxDistance),"eps":\(eps),"prompt_types":\(promptTypes),\
            "prompt_length":\(promptLength),"segment_types":\(segmentTypes),"scale_folded":\(isScaleFolded)\
            \(sizes)\(head)}
            """
    }

    /// Parses the result of `json`.
    ///
    /// - Parameter source: the file, for messages.
    package init(json: String, source: String) throws(LeafError) {
        let stored: Stored
        do {
            stored = try JSONDecoder().decode(Stored.self, from: Data(json.utf8))
        } catch {
            throw LeafError(.badInput, "\(source): the configuration in the header is damaged; make the file again")
        }
        guard stored.maskModules.count == stored.numLayers, stored.maskModules.allSatisfy({ $0.count == 2 }) else {
            throw LeafError(.badInput, "\(source): mask_modules does not have one pair for each of num_layers layers")
        }
        guard stored.layerSizes.map({ $0.count == stored.numLayers }) ?? true else {
            throw LeafError(.badInput, "\(source): layer_sizes does not have one entry for each of num_layers layers")
        }
        self.init(
            vocabSize: stored.vocabSize, dimModel: stored.dimModel, numHeads: stored.numHeads,
            dimHead: stored.dimHead, dimFF: stored.dimFF,
            layers: stored.maskModules.enumerated().map { index, mask in
                let sizes = stored.layerSizes?[index]
                return Layer(
                    hasAttention: !mask[0], hasFeedForward: !mask[1], heads: sizes?.heads, dimHead: sizes?.dimHead,
                    dimFF: sizes?.dimFF)
            },
            positionBiasNumBuckets: stored.positionBiasNumBuckets,
            positionBiasMaxDistance: stored.positionBiasMaxDistance, eps: stored.eps,
            promptTypes: stored.promptTypes, promptLength: stored.promptLength, segmentTypes: stored.segmentTypes,
            isScaleFolded: stored.scaleFolded, hasOwnHead: stored.ownHead ?? false)
        try checkLimits(in: source)
    }

    private struct Stored: Decodable {
        var vocabSize, dimModel, numHeads, dimHead, dimFF, numLayers: Int
        /// For each layer, whether attention and feed-forward are removed.
        var maskModules: [[Bool]]
        var positionBiasNumBuckets, positionBiasMaxDistance: Int
        var eps: Float
        var promptTypes, promptLength, segmentTypes: Int
        var scaleFolded: Bool
        /// Missing if all layers have the model's sizes.
        var layerSizes: [Sizes]?
        /// Missing if the token table is the head.
        var ownHead: Bool?

        /// A missing size is the model's.
        struct Sizes: Decodable {
            var heads: [Int]?
            var dimHead, dimFF: Int?

            enum CodingKeys: String, CodingKey {
                case heads
                case dimHead = "dim_head"
                case dimFF = "dim_ff"
            }
        }

        enum CodingKeys: String, CodingKey {
            case vocabSize = "vocab_size"
            case dimModel = "dim_model"
            case numHeads = "num_heads"
            case dimHead = "dim_head"
            case dimFF = "dim_ff"
            case numLayers = "num_layers"
            case maskModules = "mask_modules"
            case positionBiasNumBuckets = "position_bias_num_buckets"
            case positionBiasMaxDistance = "position_bias_max_distance"
            case eps
            case promptTypes = "prompt_types"
            case promptLength = "prompt_length"
            case segmentTypes = "segment_types"
            case scaleFolded = "scale_folded"
            case layerSizes = "layer_sizes"
            case ownHead = "own_head"
        }
    }
}

extension ModelConfiguration.Layer {
    /// A JSON object with the sizes that differ from the model's.
    fileprivate var sizesJSON: String {
        let fields = [
            heads.map { "\"heads\":[\($0.map(String.init).joined(separator: ","))]" },
            dimHead.map { "\"dim_head\":\($0)" }, dimFF.map { "\"dim_ff\":\($0)" },
        ]
        return "{\(fields.compactMap { $0 }.joined(separator: ","))}"
    }
}
