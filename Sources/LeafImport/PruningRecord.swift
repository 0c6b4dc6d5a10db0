import CPMAntShape
import FoundationEssentials
import LeafFormat

/// What BMCook tells beside a model whose heads and neurons it pruned: `FILE.cnofig.json` (spelled so) how much is left, and
/// the file of its masks which heads. The position bias keeps its columns, so those of the heads that are left must be known.
///
/// There are two forms of the first: one entry a layer with `mask_modules`, and later `att` and `ffn`, which name what was
/// removed. `dim_ff` is not read: it is a sum of float16 numbers, rounded beyond 2048, and the shapes tell it.
///
/// - Source: CPM-Ant reference, section 7.2; `bmcook/store.py` of September 2022 and of March 2023.
struct PruningRecord: Sendable {
    /// Those that were read.
    let files: [InputFile]
    private let path: String
    private let json: Stored
    /// `[attentions, heads]`, ones for the heads that are left; nil without a file of masks.
    private let headMasks: SourceTensor?

    static let suffix = ".cnofig.json"
    private static let maximumBytes = 1 << 20

    /// - Parameter masksPath: of the masks, nil if all heads are left.
    init(path: String, masksPath: String?) throws(LeafError) {
        self.path = path
        let file = try InputFile(path: path)
        guard file.byteCount <= Self.maximumBytes else {
            throw LeafError(
                .badInput, "\(path) has \(file.byteCount.sizeText), too much for what BMCook tells of a model")
        }
        let bytes = try file.bytes(at: 0, count: file.byteCount)
        do {
            json = try JSONDecoder().decode(Stored.self, from: Data(bytes))
        } catch {
            throw LeafError(
                .badInput,
                "\(path) does not tell what BMCook pruned; it has num_heads and dim_head, a number each entry")
        }
        guard let masksPath else {
            headMasks = nil
            files = [file]
            return
        }
        let masks = try InputFile(path: masksPath)
        files = [file, masks]
        guard case .zip = try TorchFile.kind(of: masks),
            let heads = try TorchFile.tensors(of: masks).first(where: { $0.name == "num_heads" }),
            heads.shape.count == 2
        else { throw LeafError(.badInput, "\(masksPath) holds no masks of heads; give what BMCook's save_masks wrote") }
        headMasks = heads
    }

    /// Which halves are removed, given what the model was made of.
    ///
    /// - Parameter base: `mask_modules` of the model before BMCook pruned it.
    func masks(of base: [[Bool]]) throws(LeafError) -> [[Bool]] {
        if let masks = json.maskModules { return masks }
        var masks = base
        for (half, removed) in [json.att, json.ffn].enumerated() {
            // A number counts the halves that were there.
            let layers = base.indices.filter { !base[$0][half] }
            for (number, isRemoved) in removed ?? [:] where isRemoved {
                guard let place = Int(digits: number.utf8), layers.indices.contains(place) else {
                    throw LeafError(.badInput, "\(path) removes number \(number) of \(layers.count) half layers")
                }
                masks[layers[place]][half] = true
            }
        }
        return masks
    }

    /// The sizes of what is left.
    ///
    /// - Parameters:
    ///   - configuration: its layers say what is left; its sizes are those before pruning.
    ///   - base: as above.
    ///   - neurons: rows of a layer's gate matrix.
    func prune(
        _ configuration: inout ModelConfiguration, base: [[Bool]], neurons: (Int) -> Int?
    ) throws(LeafError) {
        let before = base.indices.filter { !base[$0][0] }
        let left = configuration.attentionLayers
        func entry<Value>(_ list: [Value], _ name: String, _ layer: Int) throws(LeafError) -> Value {
            // One for each attention that there was, or for each that is left.
            if list.count == before.count, let place = before.firstIndex(of: layer) { return list[place] }
            if list.count == left.count, let place = left.firstIndex(of: layer) { return list[place] }
            throw LeafError(
                .badInput,
                "\(path): \(name) has \(list.count) entries, where the model had \(before.count) attentions "
                    + "and has \(left.count)")
        }
        let rows = try headRows()
        var widths: [Int: Int] = [:]
        for layer in left {
            if !json.dimHead.isEmpty { widths[layer] = try entry(json.dimHead, "dim_head", layer) }
            guard !json.numHeads.isEmpty else { continue }
            let count = try entry(json.numHeads, "num_heads", layer)
            guard count != configuration.numHeads else { continue }
            guard let rows else {
                throw LeafError(
                    .usage,
                    "layer \(layer) has \(count) of \(configuration.numHeads) heads, and only BMCook's file of masks tells "
                        + "which; give it by --masks")
            }
            let mask = try entry(rows, "the mask num_heads", layer)
            let heads = mask.indices.filter { mask[$0] == 1 }
            guard heads.count == count, mask.count == configuration.numHeads else {
                throw LeafError(
                    .badInput,
                    "\(path) leaves \(count) of \(configuration.numHeads) heads in layer \(layer), "
                        + "the masks \(heads.count) of \(mask.count); give the masks of this model")
            }
            configuration.layers[layer].heads = heads
        }
        configuration.dimHead = widths.values.max() ?? configuration.dimHead
        for (layer, width) in widths where width != configuration.dimHead {
            configuration.layers[layer].dimHead = width
        }
        let feedForwards = configuration.layers.indices.filter { configuration.layers[$0].hasFeedForward }
        configuration.dimFF = feedForwards.compactMap(neurons).max() ?? configuration.dimFF
        for layer in feedForwards {
            guard let width = neurons(layer), width != configuration.dimFF else { continue }
            configuration.layers[layer].dimFF = width
        }
    }

    private func headRows() throws(LeafError) -> [[Float]]? {
        guard let headMasks else { return nil }
        if headMasks.storage.checksum != nil { try headMasks.checkStorage() }
        let reader = try RowReader(headMasks)
        let floats = try reader.floats()
        guard floats.allSatisfy({ $0 == 0 || $0 == 1 }) else {
            throw LeafError(
                .badInput, "\(headMasks.storage.path): the masks are not made of zeros and ones; save them again")
        }
        return (0..<reader.rows).map { Array(floats[$0 * reader.columns..<($0 + 1) * reader.columns]) }
    }

    private struct Stored: Decodable {
        let maskModules: [[Bool]]?
        /// `{"3": true}`: what is removed.
        let att, ffn: [String: Bool]?
        let numHeads, dimHead: [Int]

        private enum CodingKeys: String, CodingKey {
            case maskModules = "mask_modules"
            case att, ffn
            case numHeads = "num_heads"
            case dimHead = "dim_head"
        }

        /// A sum over a mask is written as `20.0`.
        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            func whole(_ key: CodingKeys) throws -> [Int] {
                try container.decode([Double].self, forKey: key).map { number in
                    guard let whole = Int(exactly: number) else {
                        throw DecodingError.dataCorruptedError(forKey: key, in: container, debugDescription: "no count")
                    }
                    return whole
                }
            }
            maskModules = try container.decodeIfPresent([[Bool]].self, forKey: .maskModules)
            att = try container.decodeIfPresent([String: Bool].self, forKey: .att)
            ffn = try container.decodeIfPresent([String: Bool].self, forKey: .ffn)
            numHeads = try whole(.numHeads)
            dimHead = try whole(.dimHead)
        }
    }
}
