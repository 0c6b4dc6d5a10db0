import CPMAntShape
import LeafFormat

/// Which tensors go into which file of an exported checkpoint.
///
/// Versions of transformers want the head in ways that exclude each other: since 5.23 it is a matrix of its own, of the
/// vocabulary's rows, and a missing one becomes random numbers; before, it is tied to the table, which has the rows of
/// soft prompts as well, and a matrix of other rows is refused wherever it is seen. So a head that is the token table
/// lies in a file that only a second index names, and the configuration names that index by a key that old versions do
/// not know (`transformers_weights`). Versions that know the key and tie the head pass over what no index lists, so the
/// head is not listed, and is not alone in its file. A head of its own is among the others, and the old ones refuse it.
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
        /// Bytes of the tensors.
        let byteCount: Int

        init(name: String, tensors: [Tensor], _ weights: WeightFormat) {
            self.name = name
            self.tensors = tensors
            var offset = 0
            entries = tensors.map { tensor in
                let count = tensor.shape.reduce(weights.layout.elementType.byteCount, *)
                defer { offset += count }
                return TensorEntry(
                    name: tensor.name, type: weights.layout.elementType, shape: tensor.shape, offset: offset,
                    byteCount: count)
            }
            byteCount = offset
        }
    }

    static let configurationName = "config.json"
    static let vocabularyName = "vocab.txt"
    /// Of weights that are not in shards.
    static let weightsName = "model.safetensors"
    static let headName = "model-head.safetensors"
    static let indexName = "model.safetensors.index.json"
    static let headIndexName = "model-head.safetensors.index.json"

    /// How every configuration begins.
    static let configurationStart = """
        {
          "architectures": [
            "CpmAntForCausalLM"
          ],

        """

    /// The files that the first index names.
    let shards: [File]
    /// The head beside a small tensor of the shards; nil where it is among them.
    let headFile: File?

    init(_ configuration: ModelConfiguration, weights: WeightFormat, shardBytes: Int) {
        let size = weights.layout.elementType.byteCount
        var tensors = Self.tensors(of: configuration)
        if configuration.hasOwnHead {
            tensors.append(Self.head(of: configuration, from: TensorName.head))
            headFile = nil
        } else {
            let beside = tensors.first { $0.name == "cpmant.\(TensorName.outputNorm)" }!
            let head = Self.head(of: configuration, from: TensorName.tokenTable)
            headFile = File(name: Self.headName, tensors: [beside, head], weights)
        }
        var groups: [[Tensor]] = [[]]
        var bytes = 0
        for tensor in tensors {
            let count = tensor.shape.reduce(size, *)
            if bytes > 0, bytes + count > shardBytes {
                groups.append([])
                bytes = 0
            }
            groups[groups.count - 1].append(tensor)
            bytes += count
        }
        shards = groups.enumerated().map { index, tensors in
            File(
                name: "model-\(Self.digits(index + 1))-of-\(Self.digits(groups.count)).safetensors", tensors: tensors,
                weights)
        }
    }

    var files: [File] { shards + (headFile.map { [$0] } ?? []) }
    /// The names of all files that an export makes, in the order in which it makes them.
    func names(hasVocabulary: Bool) -> [String] {
        files.map(\.name) + [Self.indexName] + (headFile == nil ? [] : [Self.headIndexName])
            + (hasVocabulary ? [Self.vocabularyName] : []) + [Self.configurationName]
    }
    var totalBytes: Int { files.reduce(0) { $0 + $1.byteCount } }
    /// Each counted once.
    var tensorCount: Int { shards.reduce(headFile == nil ? 0 : 1) { $0 + $1.tensors.count } }

    /// The JSON that says which tensor is in which file.
    var index: [UInt8] { json { _, file in file.name } }

    /// The same for versions that want the head: its file is opened for the tensor beside it.
    var headIndex: [UInt8]? {
        guard let headFile else { return nil }
        let moved = headFile.tensors.map(\.name)
        return json { tensor, file in moved.contains(tensor.name) ? headFile.name : file.name }
    }

    private func json(_ place: (Tensor, File) -> String) -> [UInt8] {
        let map = shards.flatMap { file in
            file.tensors.map { tensor in "    \"\(tensor.name)\": \"\(place(tensor, file))\"" }
        }.sorted()
        return Array(
            """
            {
              "metadata": {
                "total_size": \(shards.reduce(0) { $0 + $1.byteCount })
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
        return tensors
    }

    private static func head(of configuration: ModelConfiguration, from matrix: String) -> Tensor {
        Tensor(
            name: TensorName.head, shape: [configuration.vocabSize, configuration.dimModel],
            sources: [.matrix(matrix)])
    }
}

extension ModelConfiguration {
    /// `config.json` as transformers' `CpmAntConfig` reads it. The special ids are those of CPM-Ant's vocabulary.
    ///
    /// - Parameter isPlus: whether the tokenizer is CPM-Ant+'s, which transformers does not know.
    func transformersJSON(_ weights: WeightFormat, isPlus: Bool) -> String {
        // Only a head that is the token table lies apart.
        let weightsKey = hasOwnHead ? "" : "\"transformers_weights\": \"\(ExportShards.headIndexName)\",\n  "
        let tokenizer = isPlus ? "" : "\"tokenizer_class\": \"CpmAntTokenizer\",\n  "
        return ExportShards.configurationStart + """
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
              \(weightsKey)"use_cache": true,
              "vocab_size": \(vocabSize)
            }

            """
    }
}
