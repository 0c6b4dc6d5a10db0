import CPMAntShape
import LeafArguments
import LeafFormat
import LeafSystem
import Leafcutter

/// `leafcutter inspect FILE`
struct InspectCommand: Command {
    var model = ""
    var showsTensors = false
    var common = CommonOptions()

    static let syntax = CommandSyntax<InspectCommand>(
        name: "inspect", summary: "Show what is in a model file or a session.",
        arguments: [
            .required("FILE", "A .leaf file, or what generate --session has written.", \.model, suggest: .file)
        ],
        options: [.flag("tensors", "List every tensor as well.", \.showsTensors)]
            + CommonOptions.all.map { $0.lifted(\.common) },
        examples: ["inspect ant.leaf", "inspect ant.leaf --tensors --json", "inspect tale.session"])

    func run(_ terminal: Terminal) throws(LeafError) {
        if isSession { return try showSession(terminal) }
        let file = try CPMAntFile.open(path: model)
        terminal.output.write(common.isJSON ? json(file).line + "\n" : text(file))
    }

    private func text(_ file: CPMAntFile) -> String {
        let configuration = file.configuration
        let layers = configuration.layers
        let whole = layers.count { $0.hasAttention && $0.hasFeedForward }
        let half = layers.count { $0.hasAttention != $0.hasFeedForward }
        let feedForwards = layers.indices.filter { layers[$0].hasFeedForward }
        let chunkBytes = file.leaf.chunks.paddedBytes
        var rows: [(String, String)] = [
            ("file", "\(file.path), \(file.leaf.fileBytes.diskText)"),
            ("parameters", parameters(file.shape.parameterCount)),
            ("weights", file.weights.rawValue),
            ("layers", "\(whole)" + (half > 0 ? ", and \(half) of which half was pruned" : "")),
            ("dim_model", "\(configuration.dimModel)"),
            (
                "heads",
                "\(range(configuration.attentionLayers.map(configuration.numHeads(ofLayer:)))) of "
                    + range(configuration.attentionLayers.map(configuration.dimHead(ofLayer:)))
            ),
            ("dim_ff", range(feedForwards.map(configuration.dimFF(ofLayer:)))),
            ("vocabulary", configuration.vocabSize.of("token")),
            ("soft prompts", "\(configuration.promptTypes) of \(configuration.promptLength.of("token"))"),
            ("segments", "\(configuration.segmentTypes)"),
            (
                "positions",
                "\(configuration.positionBiasNumBuckets.of("bucket")), up to distance \(configuration.positionBiasMaxDistance)"
            ),
            (
                "blocks",
                "\(file.leaf.blocks.count) in \(file.leaf.chunks.count.of("chunk")), \(chunkBytes.diskText) a sweep"
            ),
            ("tokenizer", tokenizer(file.leaf)),
        ]
        if configuration.hasOwnHead { rows.append(("head", "a matrix of its own, not the token table")) }
        rows.append(("digest", file.leaf.digest))
        rows += sources(file.leaf).map { ($0.key, $0.value) }
        var text = Quantity.table(rows)
        if showsTensors {
            text +=
                "\n"
                + Quantity.table(
                    file.leaf.tensors.map {
                        ($0.name, "\($0.type.rawValue) \($0.shape), \($0.byteCount.of("byte")) at \($0.offset)")
                    })
        }
        return text
    }

    private func json(_ file: CPMAntFile) -> JSON {
        var fields: [(key: String, value: JSON)] = [
            ("file", .string(file.path)), ("bytes", .integer(file.leaf.fileBytes)),
            ("digest", .string(file.leaf.digest)), ("parameters", .integer(file.shape.parameterCount)),
            ("weights", .string(file.weights.rawValue)),
            ("configuration", file.configuration.jsonText),
            (
                "blocks",
                .array(
                    zip(file.shape.kinds, file.leaf.blocks).map { kind, block in
                        [
                            "name": .string(name(of: kind)), "chunks": .integer(block.chunks.count),
                            "bytes": .integer(file.leaf.chunks[block.chunks].paddedBytes),
                        ]
                    })
            ),
            ("tokenizer", .bool(hasTokenizer(file.leaf))),
            ("source", .object(sources(file.leaf).map { ($0.key, .string($0.value)) })),
        ]
        if showsTensors {
            let tensors = file.leaf.tensors.map { tensor -> JSON in
                [
                    "name": .string(tensor.name), "dtype": .string(tensor.type.rawValue),
                    "shape": .array(tensor.shape.map { .integer($0) }), "offset": .integer(tensor.offset),
                    "bytes": .integer(tensor.byteCount),
                ]
            }
            fields.append(("tensors", .array(tensors)))
        }
        return .object(fields)
    }

    /// `12666112 (12.7 million)`
    private func parameters(_ count: Int) -> String {
        let rounded = Quantity.parameters(count)
        return "\(count)" == rounded ? rounded : "\(count) (\(rounded))"
    }

    private func tokenizer(_ file: LeafFile) -> String {
        guard hasTokenizer(file) else { return "none: takes and gives ids only" }
        return file.tensor(LeafMetadata.dictionaryTensor) == nil ? "inside, CPM-Ant+'s" : "inside"
    }

    /// `3`, or `2 to 4` if layers differ.
    private func range(_ sizes: [Int]) -> String {
        guard let least = sizes.min(), let most = sizes.max() else { return "none" }
        return least == most ? "\(most)" : "\(least) to \(most)"
    }

    private func hasTokenizer(_ file: LeafFile) -> Bool { file.tensor(LeafMetadata.vocabularyTensor) != nil }

    /// The source of the file, from its metadata.
    private func sources(_ file: LeafFile) -> [(key: String, value: String)] {
        let keys = [
            "software", "source", "source.form", "source.container", "source.adapters", "source.digest",
            LeafMetadata.Key.copiedModel, LeafMetadata.Key.calibration,
        ]
        return keys.compactMap { key in file.metadata[key].map { (key, $0) } }
    }

    private func name(of kind: ModelShape.BlockKind) -> String {
        switch kind {
        case .attention(let layer): "layer \(layer) attention"
        case .feedForward(let layer): "layer \(layer) feed-forward"
        case .head, .tokenTable: kind.description
        }
    }
}

extension ModelConfiguration {
    fileprivate var jsonText: JSON {
        var fields: [(key: String, value: JSON)] = [
            ("dim_model", .integer(dimModel)), ("num_heads", .integer(numHeads)), ("dim_head", .integer(dimHead)),
            ("dim_ff", .integer(dimFF)), ("num_layers", .integer(layers.count)),
            ("mask_modules", .array(layers.map { [.bool(!$0.hasAttention), .bool(!$0.hasFeedForward)] })),
            ("vocab_size", .integer(vocabSize)), ("eps", .number(Double(eps))), ("prompt_types", .integer(promptTypes)),
            ("prompt_length", .integer(promptLength)), ("segment_types", .integer(segmentTypes)),
            ("position_bias_num_buckets", .integer(positionBiasNumBuckets)),
            ("position_bias_max_distance", .integer(positionBiasMaxDistance)),
        ]
        if !isUniform { fields.append(("layer_sizes", .array(layers.indices.map(sizes(ofLayer:))))) }
        return .object(fields)
    }

    /// A missing half layer has no sizes.
    private func sizes(ofLayer layer: Int) -> JSON {
        var fields: [(key: String, value: JSON)] = []
        if layers[layer].hasAttention {
            let heads = layers[layer].heads ?? Array(0..<numHeads)
            fields = [("heads", .array(heads.map { .integer($0) })), ("dim_head", .integer(dimHead(ofLayer: layer)))]
        }
        if layers[layer].hasFeedForward { fields.append(("dim_ff", .integer(dimFF(ofLayer: layer)))) }
        return .object(fields)
    }
}
