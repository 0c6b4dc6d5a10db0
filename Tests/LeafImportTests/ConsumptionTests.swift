import CPMAntShape
import Foundation
import GoldenSupport
import LeafFormat
import LeafImport
import LeafSystem
import Synchronization
import Testing

@Suite("consumed checkpoints") struct ConsumptionTests {
    /// A checkpoint that may be deleted, and where its model goes.
    struct Copy {
        let directory = try! TemporaryDirectory()
        let source: String
        var output: String { directory.path("model.leaf") }

        /// - Parameter form: a folder, or a file whose JSON comes along.
        init(_ form: String) throws {
            let original = URL(filePath: Forms.path(form))
            source = directory.path(original.lastPathComponent)
            try FileManager.default.copyItem(atPath: original.path, toPath: source)
            guard !FilePath.isDirectory(source) else { return }
            let json = original.deletingPathExtension().appendingPathExtension("json")
            try FileManager.default.copyItem(atPath: json.path, toPath: directory.path(json.lastPathComponent))
        }

        func convert(_ change: (inout ConversionOptions) -> Void = { _ in }) throws -> ConversionResult {
            var options = ConversionOptions()
            options.consumes = true
            options.calls.synchronize = { _ in 0 }
            change(&options)
            return try Converter(source: source, output: output, options: options).run()
        }

        func convertedBytes() throws -> Data { try Data(contentsOf: URL(filePath: output)) }

        /// Names of what is left of the checkpoint.
        func remains() throws -> [String] {
            let folder = FilePath.isDirectory(source) ? source : directory.url.path
            return try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0 != "model.leaf" }.sorted()
        }
    }

    static let forms = [
        "ant-tiny-c/hf-safetensors-sharded", "ant-tiny-a/hf-sharded", "ant-tiny-a/hf-sharded-head", "ant-tiny-a/hf-bin",
        "ant-tiny-c/cpm-live/ant-tiny-c.pt", "ant-tiny-pruned/cpm-live/ant-tiny-pruned.pt",
    ]

    @Test(arguments: forms) func theSameBytesComeOutAndTheWeightsAreGone(form: String) throws {
        let expected = try Conversion(Forms.path(form))
        let copy = try Copy(form)
        _ = try copy.convert()
        #expect(try copy.convertedBytes() == Data(contentsOf: URL(filePath: expected.file.path)))
        #expect(try copy.remains().allSatisfy { $0.hasSuffix(".json") && !$0.hasSuffix(".index.json") })
        #expect(try !copy.remains().isEmpty)
    }

    /// The process kills itself when it writes, half of it done, or when it frees a part of the checkpoint.
    @Test(arguments: [(20, 99), (33, 99), (47, 99), (99, 0), (99, 1), (99, 4), (99, 7), (57, 99), (66, 99), (99, 99)])
    func aKilledConversionGoesOnToTheSameBytes(writes: Int, frees: Int) async throws {
        let form = "ant-tiny-c/cpm-live/ant-tiny-c.pt"
        let copy = try Copy(form)
        let (source, output) = (copy.source, copy.output)
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [writes = writes as Int, frees = frees as Int, source = source as String, output = output as String] in
            let freed = Atomic<Int>(0)
            var options = ConversionOptions()
            options.consumes = true
            options.calls.killProcess(afterWrites: writes)
            let free = options.calls.free
            options.calls.free = { descriptor, offset, count in
                let code = free(descriptor, offset, count)
                if freed.wrappingAdd(1, ordering: .relaxed).oldValue >= frees { kill(getpid(), SIGKILL) }
                return code
            }
            _ = try Converter(source: source, output: output, options: options).run()
            // Some numbers of calls are never reached: then all is done, and nobody was killed.
            kill(getpid(), SIGKILL)
        }
        _ = try copy.convert()
        let expected = try Conversion(Forms.path(form))
        #expect(try copy.convertedBytes() == Data(contentsOf: URL(filePath: expected.file.path)))
        #expect(try copy.remains() == ["ant-tiny-c.json"])
    }

    /// A conversion stopped after some pieces with a part of its source gone.
    private static func interrupted(_ form: String = "ant-tiny-c/cpm-live/ant-tiny-c.pt") throws -> Copy {
        let copy = try Copy(form)
        var pieces = 0
        var options = ConversionOptions()
        options.consumes = true
        options.calls.synchronize = { _ in 0 }
        #expect(
            failure {
                _ = try Converter(source: copy.source, output: copy.output, options: options).run(isCancelled: {
                    pieces += 1
                    return pieces > 12
                })
            }?.kind == .cancelled)
        #expect(!FileManager.default.fileExists(atPath: copy.source))
        #expect(FileManager.default.fileExists(atPath: copy.source + ".consumed"))
        return copy
    }

    @Test func anotherConversionDoesNotTakeAConsumedCheckpointForAWholeOne() throws {
        let copy = try Self.interrupted()
        let other = copy.directory.path("other.leaf")
        var options = ConversionOptions()
        #expect(
            failure { _ = try Converter(source: copy.source, output: other, options: options).run() }?.kind == .usage)
        options.consumes = true
        let error = failure { _ = try Converter(source: copy.source, output: other, options: options).run() }
        #expect(error?.description.contains("only that conversion can go on") == true)
        #expect(!FileManager.default.fileExists(atPath: other + ".part"))
        _ = try copy.convert()
    }

    @Test func theOnlyCopyIsNotDropped() throws {
        let copy = try Self.interrupted()
        let part = try Data(contentsOf: URL(filePath: copy.output + ".part"))
        #expect(failure { _ = try copy.convert { $0.resumes = false } }?.description.contains("only copy") == true)
        #expect(failure { _ = try copy.convert { $0.weights = .float16 } }?.description.contains("only copy") == true)
        let another = Forms.path("ant-tiny-c/hf")
        let error = failure { _ = try Converter(source: another, output: copy.output).run() }
        #expect(error?.description.contains("only copy") == true)
        #expect(try Data(contentsOf: URL(filePath: copy.output + ".part")) == part)
        _ = try copy.convert()
    }

    @Test func lostBlocksAreNotMadeOfHoles() throws {
        let copy = try Self.interrupted()
        var journal = try Data(contentsOf: URL(filePath: copy.output + ".journal"))
        let secondLine = journal.firstIndex(of: UInt8(ascii: "\n"))! + 9
        journal[secondLine] ^= 1
        try journal.write(to: URL(filePath: copy.output + ".journal"))
        #expect(failure { _ = try copy.convert() }?.description.contains("was consumed") == true)
        #expect(!FileManager.default.fileExists(atPath: copy.output))
    }

    @Test func aConversionKilledBehindItsLastStepIsTidiedUp() throws {
        let copy = try Copy("ant-tiny-c/hf-safetensors-sharded")
        let output = copy.output
        var options = ConversionOptions()
        options.consumes = true
        _ = try copy.convert()
        // The journal and a shard, as if they had not been removed.
        let index = try Data(
            contentsOf: URL(filePath: Forms.path("ant-tiny-c/hf-safetensors-sharded/model.safetensors.index.json")))
        try index.write(to: URL(filePath: copy.source + "/model.safetensors.index.json"))
        let shards = try JSONSerialization.jsonObject(with: index) as? [String: Any]
        let shard = try #require((shards?["weight_map"] as? [String: String])?.values.first)
        try Data([1]).write(to: URL(filePath: "\(copy.source)/\(shard).consumed"))
        let lines = ["leafcutter journal 2 0000000000000000 0000000000000000", "consume", "finished"]
        let journal = lines.map { "\($0) \(ChunkDigest.of(Array($0.utf8)).hexDigits)\n" }.joined()
        try journal.write(toFile: output + ".journal", atomically: true, encoding: .utf8)
        let result = try copy.convert()
        #expect(result.output == output && result.bytes > 0)
        #expect(try copy.remains().allSatisfy { !$0.contains("safetensors") })
        #expect(!FileManager.default.fileExists(atPath: output + ".journal"))
    }

    /// Then there is no journal any more, and only the file tells.
    @Test(arguments: forms) func aConversionKilledBehindAllIsFoundDone(form: String) throws {
        let copy = try Copy(form)
        #expect(try !copy.convert().wasMadeEarlier)
        let (bytes, remains) = (try copy.convertedBytes(), try copy.remains())
        let result = try copy.convert()
        #expect(result.wasMadeEarlier && result.bytes == bytes.count)
        #expect(try copy.convertedBytes() == bytes && copy.remains() == remains)
        // Not without --consume, in another format, of another checkpoint, or of one that is still there.
        #expect(failure { _ = try copy.convert { $0.consumes = false } } != nil)
        #expect(failure { _ = try copy.convert { $0.weights = .float16 } } != nil)
        let other = try Copy(form)
        try FileManager.default.copyItem(atPath: copy.output, toPath: other.output)
        #expect(failure { _ = try other.convert() }?.kind == .usage)
        let json = try #require(remains.first { $0.hasSuffix("json") && !$0.hasSuffix(".cnofig.json") })
        let folder = FilePath.isDirectory(copy.source) ? copy.source : copy.directory.url.path
        let configuration = try Data(contentsOf: URL(filePath: "\(folder)/\(json)"))
        try (configuration + Data(" ".utf8)).write(to: URL(filePath: "\(folder)/\(json)"))
        #expect(failure { _ = try copy.convert() } != nil)
        try configuration.write(to: URL(filePath: "\(folder)/\(json)"))
        // A file that is not whole is not called so.
        var damaged = bytes
        damaged[bytes.count - 5000] ^= 1
        try damaged.write(to: URL(filePath: copy.output))
        #expect(failure { _ = try copy.convert() }?.kind == .badInput)
        #expect(try copy.convertedBytes() == damaged && copy.remains() == remains)
    }

    @Test func whatOthersUseIsNotDeleted() throws {
        let link = try Copy("ant-tiny-c/cpm-live/ant-tiny-c.pt")
        try FileManager.default.moveItem(atPath: link.source, toPath: link.directory.path("blob"))
        try FileManager.default.createSymbolicLink(
            atPath: link.source, withDestinationPath: link.directory.path("blob"))
        #expect(failure { _ = try link.convert() }?.description.contains("symbolic link") == true)
        let names = try Copy("ant-tiny-c/cpm-live/ant-tiny-c.pt")
        try FileManager.default.linkItem(atPath: names.source, toPath: names.directory.path("other"))
        #expect(failure { _ = try names.convert() }?.description.contains("other names") == true)
        #expect(try !names.remains().contains("model.leaf.part"))
    }

    @Test func aBadTensorLeavesWhatIsNotConverted() throws {
        let copy = try Copy("ant-tiny-a/cpm-live/ant-tiny-a.pt")
        let before = try Data(contentsOf: URL(filePath: copy.source))
        // A NaN in the last block, the token table, found by a piece of its bytes.
        let checkpoint = try Checkpoint(path: copy.source, kernels: .best)
        let table = checkpoint.matrices[TensorName.tokenTable]!.rows.range
        var bad = before
        bad.replaceSubrange(table.upperBound - 4..<table.upperBound, with: [0, 0, 0xC0, 0x7F])
        try bad.write(to: URL(filePath: copy.source))
        #expect(failure { _ = try copy.convert() }?.description.contains("NaN") == true)
        let after = try Data(contentsOf: URL(filePath: copy.source + ".consumed"))
        #expect(after[table] == bad[table])
        #expect(after.count == bad.count && after != bad)
    }

    @Test func theCheckpointIsNotOverwritten() throws {
        let copy = try Copy("ant-tiny-c/cpm-live/ant-tiny-c.pt")
        var options = ConversionOptions()
        options.replacesExisting = true
        for output in [copy.source, copy.source.replacingOccurrences(of: ".part", with: "")] {
            let error = failure { _ = try Converter(source: copy.source, output: output, options: options).run() }
            #expect(error?.kind == .usage && error?.description.contains("overwrite") == true)
        }
        // That is the name of an unfinished file as well.
        try FileManager.default.moveItem(atPath: copy.source, toPath: copy.directory.path("m.leaf.part"))
        let error = failure {
            _ = try Converter(
                source: copy.directory.path("m.leaf.part"), output: copy.directory.path("m.leaf"),
                options: {
                    var options = ConversionOptions()
                    options.configurationPath = copy.directory.path("ant-tiny-c.json")
                    return options
                }()
            ).run()
        }
        #expect(error != nil && FileManager.default.fileExists(atPath: copy.directory.path("m.leaf.part")))
    }

    /// Against the plainest way: every byte asks every tensor.
    @Test func bytesAreFreedWithTheLastBlockThatNeedsThem() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let needs = (0..<Int.random(in: 0..<8, using: &generator)).map { _ in
                let begin = Int.random(in: 0..<60, using: &generator)
                return (
                    range: begin..<begin + Int.random(in: 1..<30, using: &generator),
                    block: Int.random(in: 0..<5, using: &generator)
                )
            }
            var found = [Int?](repeating: nil, count: 100)
            for (range, block) in Consumption.lastNeeds(needs) {
                for byte in range {
                    #expect(found[byte] == nil)
                    found[byte] = block
                }
            }
            let expected = (0..<100).map { byte in needs.filter { $0.range.contains(byte) }.map(\.block).max() }
            #expect(found == expected, "seed \(seed)")
        }
    }
}
