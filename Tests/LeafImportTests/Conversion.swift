import CPMAntShape
import Foundation
import GoldenSupport
import LeafFormat
import LeafImport
import LeafSystem
import Synchronization
import Testing

/// Every form of every golden model: a folder, or a file with its JSON beside it.
enum Forms {
    static let all =
        [
            "ant-tiny-a/hf", "ant-tiny-a/hf-bin", "ant-tiny-a/hf-head", "ant-tiny-a/hf-sharded",
            "ant-tiny-a/hf-sharded-head", "ant-tiny-a/cpm-live/ant-tiny-a.pt", "ant-tiny-b/hf", "ant-tiny-b/hf-bin",
            "ant-tiny-b/cpm-live/ant-tiny-b.pt", "ant-tiny-c/hf", "ant-tiny-c/hf-safetensors-sharded",
            "ant-tiny-c/cpm-live/ant-tiny-c.pt", "ant-tiny-pruned/cpm-live/ant-tiny-pruned.pt",
        ]

    static func path(_ form: String) -> String { Golden.model(form).path }
    static func fixture(_ name: String) -> String { Golden.root.appending(path: "import/\(name)").path }
}

/// A converted model in a folder of its own.
struct Conversion {
    let directory: TemporaryDirectory
    let result: ConversionResult
    let file: LeafFile
    let rows: LeafRows

    init(_ source: String, _ weights: WeightFormat = .int8, _ change: (inout ConversionOptions) -> Void = { _ in })
        throws
    {
        directory = try TemporaryDirectory()
        var options = ConversionOptions()
        options.weights = weights
        // No test pulls the plug here; waiting for the disk would only take time.
        options.calls.synchronize = { _ in 0 }
        change(&options)
        result = try Converter(source: source, output: directory.path("model.leaf"), options: options).run()
        file = try LeafFile.open(path: directory.path("model.leaf"))
        rows = try LeafRows(CPMAntFile.open(path: directory.path("model.leaf")), .best)
    }

    /// Everything behind the header.
    func data() throws -> Data {
        try Data(contentsOf: URL(filePath: file.path)).dropFirst(file.regions[0].offset)
    }

    /// A matrix as float32 rows, unpacked and folded.
    func matrix(_ name: String) throws -> [Float] {
        var floats: [Float] = []
        try rows.forEachChunk(ofMatrix: name) { floats += $1 }
        return floats
    }

    /// A matrix's int8 rows, read from the tiles the plainest way.
    func quantized(_ name: String) throws -> [[Int8]] {
        let matrix = file.matrices.first { $0.name == name }!
        let input = try InputFile(path: file.path)
        var result = [[Int8]](repeating: [Int8](repeating: 0, count: matrix.storedColumns), count: matrix.storedOutputs)
        for index in matrix.chunks {
            let chunk = file.chunks[index]
            let slot = UnsafeMutableRawBufferPointer.allocate(byteCount: chunk.slotBytes, alignment: 4096)
            defer { slot.deallocate() }
            try input.read(
                at: chunk.offset, into: UnsafeMutableRawBufferPointer(rebasing: slot[chunk.storedAt..<chunk.slotBytes]))
            let bytes = try file.verifyAndUnpack(index, in: slot)
            for (offset, value) in bytes.enumerated() {
                let tile = offset / (16 * matrix.storedColumns)
                let inTile = offset % (16 * matrix.storedColumns)
                let (group, row, column) = (inTile / 64, inTile % 64 / 4, inTile % 4)
                result[chunk.firstOutput + tile * 16 + row][group * 4 + column] = Int8(bitPattern: value)
            }
        }
        return result
    }
}

/// The numbers of a transformers checkpoint by CPM-Live's names, the token table parted from the prompts.
struct Truth {
    let configuration: ModelConfiguration
    private let source: PlainSafetensors
    private let prefix: String

    init(_ path: String, _ configuration: ModelConfiguration, prefix: String = "cpmant.") throws {
        source = try PlainSafetensors(URL(filePath: path))
        self.configuration = configuration
        self.prefix = prefix
    }

    func floats(_ name: String) -> [Float] {
        let tokens = configuration.vocabSize * configuration.dimModel
        let table = source.floats(prefix + TensorName.tokenTable)!
        switch name {
        case TensorName.tokenTable: return Array(table[0..<tokens])
        case TensorName.promptEmbedding where source.shapes[prefix + name] == nil: return Array(table[tokens...])
        default: return source.floats(prefix + name)!
        }
    }
}

extension WriteCalls {
    /// Kills the process in the middle of a write, as `kill -9` would.
    mutating func killProcess(afterWrites count: Int) {
        let written = Atomic<Int>(0)
        write = { descriptor, bytes, size, offset in
            guard written.wrappingAdd(1, ordering: .relaxed).oldValue >= count else {
                return pwrite(descriptor, bytes, size, offset)
            }
            _ = pwrite(descriptor, bytes, (size + 1) / 2, offset)
            kill(getpid(), SIGKILL)
            return -1
        }
    }
}

/// Changes one to three characters of a text, over and over; each time it is taken, or refused as bad input.
///
/// - Parameter refusal: why a changed text is refused; nil if it is not.
func expectMutationsNeverCrash(
    _ text: String, rounds: Int, sourceLocation: SourceLocation = #_sourceLocation,
    refusal: (_ bytes: [UInt8]) throws -> LeafError?
) rethrows {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<rounds {
        var bytes = Array(text.utf8)
        for _ in 0..<Int.random(in: 1...3, using: &generator) {
            bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0x20...0x7E, using: &generator)
        }
        let error = try refusal(bytes)
        #expect(
            error == nil || error?.kind == .badInput || error?.kind == .usage, "\(error!), seed \(seed)",
            sourceLocation: sourceLocation)
    }
}
