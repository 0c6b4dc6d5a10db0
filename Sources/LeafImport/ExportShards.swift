import CPMAntShape
import LeafFormat

/// Which tensors go into which file of an exported checkpoint.
///
/// Versions of transformers want the head in ways that exclude each other: since 5.23 it is a matrix of its own, of the
/// vocabulary's rows, and a missing one becomes random numbers; before, it is tied to the table, which has the rows of
/// soft prompts as well, and a matrix of other rows is refused. A head that lies in a shard and not in the index is
/// found by the new ones and not seen by the old ones. So there are always shards and an index. A head of its own is in
/// the index too, so that the old ones refuse it.
struct ExportShards {
    /// Where rows of a tensor come from.
    enum RowSource {
        case matrix(String)
        case resident(String)
        case prompts
    }

    struct Tensor {
        /// The name in transformers.
        let name: String
        let shape: [Int]
        /// Their rows follow one another.
        let sources: [RowSource]
    }

    struct File {
        let name: String
        let tensors: [Tensor]
        /// Offsets are from the start of the data.
        let entries: [TensorEntry]
    }

    static let indexName = "model.safetensors.index.json"

    let files: [File]
    let totalBytes: Int
    private let namesHead: Bool

    init(_ configuration: ModelConfiguration, weights: WeightFormat, shardBytes: Int) {
        namesHead = configuration.hasOwnHead
        let size = weights.elementBytes
        var groups: [[Tensor]] = [[]]
        var bytes = 0
        var total = 0
        for tensor in Self.tensors(of: configuration) {
            let count = tensor.shape.reduce(size, *)
            if bytes > 0, bytes + count > shardBytes, tensor.name != TensorName.head {
                groups.append([])
                bytes = 0
            }
            groups[groups.count - 1].append(tensor)
            bytes += count
            total += count
        }
        totalBytes = total
        files = groups.enumerated().map { index, tensors in
            var offset = 0
            let entries = tensors.map { tensor in
                let count = tensor.shape.reduce(size, *)
                defer { offset += count }
                return TensorEntry(
                    name: tensor.name, type: weights.layout.elementType, shape: tensor.shape, offset: offset,
                    byteCount: count)
            }
            return File(
                name: "model-\(Self.digits(index + 1))-of-\(Self.digits(groups.count)).safetensors", tensors: tensors,
                entries: entries)
        }
    }

    /// The JSON that says which tensor is in which file. It does not name a head that is the token table.
    var index: [UInt8] {
        let map = files.flatMap { file in
            file.tensors.filter { namesHead || $0.name != TensorName.head }
                .map { "    \"\($0.name)\": \"\(file.name)\"" }
        }.sorted()
        return Array(
            """
            {
              "metadata": {
                "total_size": \(totalBytes)
              },
              "weight_map": {
            \(map.joined(separator: ",\n"))
              }
            }

            """.utf8)
    }

    private static func digits(_ number: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, 5 - text.count)) + text
    }

    /// transformers has token and soft-prompt rows in one table.
    private static func tensors(of configuration: ModelConfiguration) -> [Tensor] {
        let shape = ModelShape(configuration, weights: .float32)
        let rows = configuration.vocabSize + configuration.promptRows
        var tensors = [
            Tensor(
                name: "cpmant.\(TensorName.tokenTable)", shape: [rows, configuration.dimModel],
                sources: [.matrix(TensorName.tokenTable), .prompts])
        ]
        for tensor in shape.file.tensors where tensor.name != TensorName.promptEmbedding {
            tensors.append(
                Tensor(name: "cpmant.\(tensor.name)", shape: tensor.shape, sources: [.resident(tensor.name)]))
        }
        for matrix in shape.layerMatrices {
            let size = [matrix.outputs, matrix.columns]
            tensors.append(Tensor(name: "cpmant.\(matrix.name)", shape: size, sources: [.matrix(matrix.name)]))
        }
        // A file that the index does not name is not opened, so the head is never alone in one.
        tensors.append(
            Tensor(
                name: TensorName.head, shape: [configuration.vocabSize, configuration.dimModel],
                sources: [.matrix(configuration.hasOwnHead ? TensorName.head : TensorName.tokenTable)]))
        return tensors
    }
}

extension ModelConfiguration {
    /// `config.json` as transformers' `CpmAntConfig` reads it. The special ids are those of CPM-Ant's vocabulary.
    ///
    /// - Parameter isPlus: whether the tokenizer is CPM-Ant+'s, which transformers does not know.
    func transformersJSON(_ weights: WeightFormat, isPlus: Bool) -> String {
        let tokenizer = isPlus ? "" : "\"tokenizer_class\": \"CpmAntTokenizer\",\n  "
        return """
            {
              "architectures": [
                "CpmAntForCausalLM"
              ],
              "bos_token_id": 6,
              "dim_ff": \(dimFF),
              "dim_head": \(dimHead),
              "dropout_p": 0.0,
              "eos_token_id": 7,
              "eps": \(eps),
              "hidden_size": \(dimModel),
              "init_std": 1.0,
              "mask_modules": null,
              "model_type": "cpmant",
              "num_attention_heads": \(numHeads),
              "num_hidden_layers": \(layers.count),
              "pad_token_id": 0,
              "position_bias_max_distance": \(positionBiasMaxDistance),
              "position_bias_num_buckets": \(positionBiasNumBuckets),
              "prompt_length": \(promptLength),
              "prompt_types": \(promptTypes),
              "segment_types": \(segmentTypes),
              \(tokenizer)"torch_dtype": "\(weights.rawValue)",
              "use_cache": true,
              "vocab_size": \(vocabSize)
            }

            """
    }
}
