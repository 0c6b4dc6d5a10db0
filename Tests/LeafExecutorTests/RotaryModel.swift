import CPMAntShape
import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafStream
import LeafSystem

/// Another family's model, as small as it can be: causal, rotary positions, grouped keys, a head of its own, no soft
/// prompts.
///
/// The file has the layers first, then the head, and last the token table, which no sweep reads.
final class RotaryModel: Architecture {
    static let dModel = 64
    static let queryHeads = 4
    static let keyHeads = 2
    static let dimHead = 16
    static let dimFF = 96
    static let vocabSize = 40
    static let layers = 3
    static let eps: Float = 1e-5

    let facts: ModelFacts
    private let norms: [Norms]

    struct Norms: @unchecked Sendable {
        let weights: UnsafePointer<Float>
    }

    static let shape: FileShape = {
        func matrix(_ name: String, _ outputs: Int, _ columns: Int, isTable: Bool = false) -> FileShape.Matrix {
            FileShape.Matrix(
                name: name, outputs: outputs, columns: columns, layout: .float32, isReadByOutput: isTable)
        }
        var blocks: [FileShape.Block] = []
        var tensors: [FileShape.Tensor] = []
        for layer in 0..<layers {
            let name = "layers.\(layer)"
            blocks.append(
                FileShape.Block(
                    name: "layer \(layer), attention",
                    matrices: [
                        matrix("\(name).q.weight", queryHeads * dimHead, dModel),
                        matrix("\(name).k.weight", keyHeads * dimHead, dModel),
                        matrix("\(name).v.weight", keyHeads * dimHead, dModel),
                        matrix("\(name).o.weight", dModel, queryHeads * dimHead),
                    ]))
            blocks.append(
                FileShape.Block(
                    name: "layer \(layer), feed-forward",
                    matrices: [
                        matrix("\(name).gate.weight", dimFF, dModel), matrix("\(name).up.weight", dimFF, dModel),
                        matrix("\(name).down.weight", dModel, dimFF),
                    ]))
        }
        blocks.append(FileShape.Block(name: "head", matrices: [matrix("head.weight", vocabSize, dModel)]))
        blocks.append(
            FileShape.Block(name: "tokens", matrices: [matrix("tokens.weight", vocabSize, dModel, isTable: true)]))
        for block in blocks.dropLast() {
            tensors.append(FileShape.Tensor(name: "\(block.name) norm", type: .f32, shape: [dModel]))
        }
        return FileShape(blocks: blocks, tensors: tensors, configuration: "{}", version: 1)
    }()

    /// The blocks of a sweep: all but the token table.
    static let sweptBlocks = 0..<2 * layers + 1

    static func wanted(in file: LeafFile) throws -> [ResidentTensors.Wanted] {
        try shape.tensors.map { try ResidentTensors.Wanted($0.name, in: file) }
    }

    init(_ file: LeafFile, _ residents: ResidentTensors) {
        norms = Self.shape.tensors.map { Norms(weights: residents.floats($0.name)!) }
        facts = ModelFacts(
            vocabSize: Self.vocabSize, dModel: Self.dModel,
            attentions: (0..<Self.layers).map {
                ModelFacts.Attention(
                    block: 2 * $0, queryHeads: Self.queryHeads, keyHeads: Self.keyHeads, dimHead: Self.dimHead)
            }, feedForwardWidth: Self.dimFF,
            upProjections: (0..<Self.layers).map { file.blocks[2 * $0 + 1].matrices.lowerBound + 1 },
            tokenTable: file.blocks.last!.matrices.lowerBound, outputBlock: 2 * Self.layers)
        matrices = file.blocks.map(\.matrices)
    }

    private let matrices: [Range<Int>]

    func check(_ row: RowBatch.Row) throws(LeafError) {}

    func embed(
        _ input: RowBatch.Row.Input, segment: Int32?, into hiddenState: UnsafeMutablePointer<Float>,
        _ executor: Executor
    ) throws(LeafError) {
        guard case .token(let id) = input else { return }
        try executor.embed(token: Int(id), adding: executor.zeros, into: hiddenState)
    }

    /// Causal, without a bias: row 0 of a table of one zero.
    func look(
        from query: KVCache.Position, at keys: UnsafePointer<KVCache.Position>, biasRows: UnsafeMutablePointer<UInt16>
    ) {
        for key in 0..<16 { biasRows[key] = keys[key].index <= query.index ? 0 : .max }
    }

    func run(block: Int, _ t: SweepThread) throws(LeafError) {
        let own = matrices[block]
        if block == facts.outputBlock { return try head(own, t) }
        if block % 2 == 0 { try attention(block / 2, own, t) } else { try feedForward(own, norms[block].weights, t) }
    }

    private func attention(_ layer: Int, _ own: Range<Int>, _ t: SweepThread) throws(LeafError) {
        let b = t.buffers
        try normalize(norms[2 * layer].weights, for: own.prefix(3), t)
        try t.linear(rows: t.rowCount, own.prefix(3)) { part in
            (part.ordinal == 0 ? b.queries : part.ordinal == 1 ? b.keys : b.values)
                .columns(from: part.outputs.lowerBound)
        }
        let group = Self.queryHeads / Self.keyHeads
        for head in t.keyHeads(of: layer) {
            for row in 0..<t.rowCount {
                Self.rotate(b.keys[row] + head * Self.dimHead, by: t.indices[row])
                for query in head * group..<(head + 1) * group {
                    Self.rotate(b.queries[row] + query * Self.dimHead, by: t.indices[row])
                }
            }
        }
        t.attend(SweepThread.Attention(index: layer, scoreScale: 1 / Float(Self.dimHead).squareRoot()))
        try t.meet()
        try t.prepare(rows: t.rowCount, for: own.suffix(1)) { row, input in
            input.update(from: b.attended[row], count: Self.queryHeads * Self.dimHead)
        }
        try addToResidual(own.suffix(1), t)
    }

    private func feedForward(
        _ own: Range<Int>, _ norm: UnsafePointer<Float>, _ t: SweepThread
    ) throws(LeafError) {
        let b = t.buffers
        try normalize(norm, for: own.prefix(1), t)
        try t.linear(rows: t.rowCount, own.prefix(1)) { b.gate.columns(from: $0.outputs.lowerBound) }
        let up = b.up(t)
        try t.linear(
            rows: t.rowCount, own.dropFirst().prefix(1), into: { _ in up },
            finish: { part in
                let gate = b.gate.columns(from: part.outputs.lowerBound)
                for row in 0..<t.rowCount { t.geluMultiply(gate[row], up[row], count: part.outputs.count) }
            })
        try t.prepare(rows: t.rowCount, for: own.suffix(1)) { row, input in
            input.update(from: b.gate[row], count: Self.dimFF)
        }
        try addToResidual(own.suffix(1), t)
    }

    private func head(_ own: Range<Int>, _ t: SweepThread) throws(LeafError) {
        let (rows, x) = (t.outputRows, t.buffers.hiddenStates)
        let norm = norms[facts.outputBlock].weights
        try t.prepare(rows: rows.count, for: own) { row, input in
            t.rmsNorm(x[rows[row]], norm, eps: Self.eps, into: input)
        }
        let logits = t.buffers.logits
        try t.linear(rows: t.logitRowCount, own) { logits.columns(from: $0.outputs.lowerBound) }
    }

    private func normalize(
        _ norm: UnsafePointer<Float>, for matrices: Range<Int>, _ t: SweepThread
    ) throws(LeafError) {
        let x = t.buffers.hiddenStates
        try t.prepare(rows: t.rowCount, for: matrices) { row, input in
            t.rmsNorm(x[row], norm, eps: Self.eps, into: input)
        }
    }

    private func addToResidual(_ matrix: Range<Int>, _ t: SweepThread) throws(LeafError) {
        let delta = t.buffers.delta
        try t.linear(rows: t.rowCount, matrix) { delta.columns(from: $0.outputs.lowerBound) }
        t.addDelta()
    }

    static func rotate(_ x: UnsafeMutablePointer<Float>, by index: Int) {
        for pair in 0..<dimHead / 2 {
            let angle = Float(index) * powf(10_000, -2 * Float(pair) / Float(dimHead))
            let (a, b) = (x[pair], x[pair + dimHead / 2])
            x[pair] = a * cosf(angle) - b * sinf(angle)
            x[pair + dimHead / 2] = a * sinf(angle) + b * cosf(angle)
        }
    }
}

// MARK: The file, and the same model computed plainly

extension RotaryModel {
    /// Random numbers by tensor name.
    static func numbers() -> [String: [Float]] {
        var generator = SeededGenerator(seed: 5)
        var numbers: [String: [Float]] = [:]
        for matrix in shape.matrices {
            let scale = 2 / Float(matrix.columns).squareRoot()
            numbers[matrix.name] = (0..<matrix.outputs * matrix.columns).map { _ in
                Float.random(in: -scale...scale, using: &generator)
            }
        }
        for tensor in shape.tensors {
            numbers[tensor.name] = (0..<dModel).map { _ in Float.random(in: 0.5...1.5, using: &generator) }
        }
        return numbers
    }

    static func write(to path: String) throws -> LeafFile {
        let numbers = numbers()
        var options = LeafWriter.Options()
        options.calls.synchronize = { _ in 0 }
        let writer = try LeafWriter(
            path: path, contents: LeafWriter.Contents(shape: shape, weights: .float32), fingerprint: "rotary",
            options: options)
        for tensor in shape.tensors {
            try numbers[tensor.name]!.withUnsafeBytes { try writer.write(tensor.name, $0) }
        }
        for block in shape.blocks {
            for matrix in block.matrices {
                writer.beginMatrix()
                try numbers[matrix.name]!.withUnsafeBytes {
                    try writer.append(chunk: $0, outputCount: matrix.outputs)
                }
            }
            try writer.endBlock(sourceDigest: 0)
        }
        return try writer.finish()
    }

    /// The logits of every row of a text.
    static func plainLogits(_ ids: [Int]) -> [[Float]] {
        let numbers = numbers()
        func norm(_ x: [Float], _ name: String) -> [Float] {
            let scale = 1 / (x.reduce(0) { $0 + $1 * $1 } / Float(x.count) + eps).squareRoot()
            return zip(x, numbers[name]!).map { $0 * scale * $1 }
        }
        func linear(_ x: [Float], _ name: String) -> [Float] {
            let weights = numbers[name]!
            return (0..<weights.count / x.count).map { output in
                x.indices.reduce(0) { $0 + x[$1] * weights[output * x.count + $1] }
            }
        }
        func rotated(_ x: [Float], _ index: Int) -> [Float] {
            var x = x
            x.withUnsafeMutableBufferPointer { x in
                for head in 0..<x.count / dimHead { rotate(x.baseAddress! + head * dimHead, by: index) }
            }
            return x
        }
        var states = ids.map { Array(numbers["tokens.weight"]![$0 * dModel..<($0 + 1) * dModel]) }
        for layer in 0..<layers {
            let name = "layers.\(layer)"
            let n = states.map { norm($0, "layer \(layer), attention norm") }
            let q = n.enumerated().map { rotated(linear($1, "\(name).q.weight"), $0) }
            let k = n.enumerated().map { rotated(linear($1, "\(name).k.weight"), $0) }
            let v = n.map { linear($0, "\(name).v.weight") }
            for row in states.indices {
                var attended: [Float] = []
                for head in 0..<queryHeads {
                    let (from, group) = (head * dimHead, head / (queryHeads / keyHeads) * dimHead)
                    let scores = (0...row).map { key in
                        (0..<dimHead).reduce(Float(0)) { $0 + q[row][from + $1] * k[key][group + $1] }
                            / Float(dimHead).squareRoot()
                    }
                    let most = scores.max()!
                    let weights = scores.map { expf($0 - most) }
                    let sum = weights.reduce(0, +)
                    attended += (0..<dimHead).map { d in
                        weights.indices.reduce(Float(0)) { $0 + weights[$1] / sum * v[$1][group + d] }
                    }
                }
                states[row] = zip(states[row], linear(attended, "\(name).o.weight")).map(+)
            }
            for row in states.indices {
                let n = norm(states[row], "layer \(layer), feed-forward norm")
                let gate = linear(n, "\(name).gate.weight").map { 0.5 * $0 * (1 + erff($0 / Float(2).squareRoot())) }
                let gated = zip(gate, linear(n, "\(name).up.weight")).map(*)
                states[row] = zip(states[row], linear(gated, "\(name).down.weight")).map(+)
            }
        }
        return states.map { linear(norm($0, "head norm"), "head.weight") }
    }
}
