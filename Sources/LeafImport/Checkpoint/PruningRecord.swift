import CPMAntShape
import LeafFormat
import LeafSystem

/// The records that BMCook writes beside a model whose heads and neurons it pruned: `FILE.cnofig.json` (spelled so)
/// says how much is left, and the file of masks says which heads. The position bias keeps all its columns, so the
/// columns of the remaining heads must be known.
///
/// The JSON has two forms: one entry for each layer with `mask_modules`, and a later one with `att` and `ffn`, which
/// list what was removed. `dim_ff` is not read. It is a sum of float16 numbers, rounded beyond 2048, and follows from
/// the shapes.
///
/// - Source: CPM-Ant reference, section 7.2; `bmcook/store.py` of September 2022 and of March 2023.
struct PruningRecord: Sendable {
    /// The files that were read.
    let files: [InputFile]
    private let path: String
    private let json: Stored
    /// `[attentions, heads]`, with ones for the remaining heads; nil without a file of masks.
    private let headMasks: SourceTensor?

    static let suffix = ".cnofig.json"
    private static let maximumBytes = 256 << 10
    /// The most heads of all layers together; no model within the limits has more.
    private static let maximumHeads = 4096 * 4096

    /// - Parameter masksPath: the path of the masks; nil if all heads are left.
    init(path: String, masksPath: String?) throws(LeafError) {
        self.path = path
        let file = try InputFile(path: path)
        json = try file.json(Stored.self, atMost: Self.maximumBytes, what: "a record of what BMCook pruned")
        guard let masksPath else {
            headMasks = nil
            files = [file]
            return
        }
        let masks = try InputFile(path: masksPath)
        files = [file, masks]
        var allowance = HeapAllowance.unlimited
        guard try TorchFile.kind(of: masks) != .other,
            let heads = try TorchFile.tensors(of: masks, &allowance).first(where: { $0.name == "num_heads" }),
            heads.shape.count == 2
        else { throw LeafError(.badInput, "\(masksPath) holds no masks of heads; give what BMCook's save_masks wrote") }
        headMasks = heads
    }

    /// The half layers that are removed, given those of the model before pruning.
    ///
    /// - Parameter base: `mask_modules` of the model before BMCook pruned it.
    func masks(of base: [[Bool]]) throws(LeafError) -> [[Bool]] {
        if let masks = json.maskModules { return masks }
        var masks = base
        for (half, removed) in [json.att, json.ffn].enumerated() {
            // A number is the index among the half layers that existed.
            let layers = base.indices.filter { !base[$0][half] }
            for (number, isRemoved) in removed ?? [:] where isRemoved {
                guard let index = Int(digits: number.utf8), layers.indices.contains(index) else {
                    throw LeafError(.badInput, "\(path) removes number \(number) of \(layers.count) half layers")
                }
                masks[layers[index]][half] = true
            }
        }
        return masks
    }

    /// Sets the sizes of the remaining parts.
    ///
    /// - Parameters:
    ///   - configuration: its layers say which half layers are left; its sizes are those before pruning.
    ///   - base: `mask_modules` of the model before pruning.
    ///   - kernels: those that widen the masks.
    ///   - neurons: returns the outputs of a layer's gate matrix.
    func prune(
        _ configuration: inout ModelConfiguration, base: [[Bool]], _ kernels: WeightKernels, neurons: (Int) -> Int?
    ) throws(LeafError) {
        let before = base.indices.filter { !base[$0][0] }
        let left = configuration.attentionLayers
        func index(_ layer: Int, among entries: Int, _ name: String) throws(LeafError) -> Int {
            // The list has one entry for each attention before pruning, or for each that is left.
            if entries == before.count, let index = before.firstIndex(of: layer) { return index }
            if entries == left.count, let index = left.firstIndex(of: layer) { return index }
            throw LeafError(
                .badInput,
                "\(path): \(name) has \(entries) entries, where the model had \(before.count) attentions "
                    + "and has \(left.count)")
        }
        if let headMasks, let layer = left.first {
            _ = try index(layer, among: headMasks.shape[0], "the mask num_heads")
        }
        let rows = try headRows(heads: configuration.numHeads, kernels)
        var widths: [Int: Int] = [:]
        for layer in left {
            if !json.dimHead.isEmpty {
                widths[layer] = json.dimHead[try index(layer, among: json.dimHead.count, "dim_head")]
            }
            guard !json.numHeads.isEmpty else { continue }
            let count = json.numHeads[try index(layer, among: json.numHeads.count, "num_heads")]
            guard count != configuration.numHeads else { continue }
            guard let rows else {
                throw LeafError(
                    .usage,
                    "layer \(layer) has \(count) of \(configuration.numHeads) heads, "
                        + "and only BMCook's file of masks tells which", advice: .setting("masks", ["FILE"]))
            }
            let mask = rows[try index(layer, among: rows.count, "the mask num_heads")]
            let heads = mask.indices.filter { mask[$0] == 1 }
            guard heads.count == count else {
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

    /// A row for each entry of the masks, as long as there are heads.
    private func headRows(heads: Int, _ kernels: WeightKernels) throws(LeafError) -> [[Float]]? {
        guard let headMasks else { return nil }
        guard headMasks.shape[1] == heads, headMasks.shape[0].multiplied(by: heads) ?? .max <= Self.maximumHeads else {
            throw LeafError(
                .badInput,
                "\(headMasks.storage.path): the mask num_heads has the shape \(headMasks.shape), where the model had "
                    + "\(heads) heads; give the masks of this model")
        }
        if headMasks.storage.checksum != nil { try headMasks.checkStorage() }
        let reader = try RowReader(headMasks)
        let floats = try reader.floats(kernels)
        guard floats.allSatisfy({ $0 == 0 || $0 == 1 }) else {
            throw LeafError(
                .badInput, "\(headMasks.storage.path): the masks are not made of zeros and ones; save them again")
        }
        return (0..<reader.rows).map { Array(floats[$0 * reader.columns..<($0 + 1) * reader.columns]) }
    }

    private struct Stored: Decodable {
        let maskModules: [[Bool]]?
        /// For example `{"3": true}`: the half layers that were removed.
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
