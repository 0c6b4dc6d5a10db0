import Foundation
import GoldenSupport
import LeafFormat
import LeafSystem
import Synchronization
import Testing

@Suite("writer") struct LeafWriterTests {
    /// Lets the disk fail from the n-th call on, in the middle of what that call writes.
    private static func failing(after calls: Int, with code: Int32) -> WriteCalls {
        let count = Counter()
        var result = WriteCalls()
        result.synchronize = { _ in 0 }
        result.write = { descriptor, bytes, size, offset in
            let number = count.next()
            if number < calls { return pwrite(descriptor, bytes, size, offset) }
            if number == calls, size > 1 { return pwrite(descriptor, bytes, size / 2, offset) }
            errno = code
            return -1
        }
        return result
    }

    private final class Counter: Sendable {
        private let value = Atomic<Int>(0)
        func next() -> Int { value.wrappingAdd(1, ordering: .relaxed).oldValue }
    }

    /// What a crash leaves is what a failing disk leaves: nothing is tidied up behind the first block.
    @Test(arguments: [WeightFormat.int8, .float16]) func afterAnyInterruptionTheSameBytesComeOut(weights: WeightFormat)
        throws
    {
        let whole = try TemporaryDirectory()
        try SmallModel(weights).write(to: whole.path("m.leaf"))
        let expected = try Data(contentsOf: URL(filePath: whole.path("m.leaf")))
        var calls = 0
        while true {
            let directory = try TemporaryDirectory()
            var model = SmallModel(weights)
            model.options.calls = Self.failing(after: calls, with: ENOSPC)
            let error = failure { try model.write(to: directory.path("m.leaf")) }
            guard let error else { break }
            #expect(error.kind == .io && error.description.contains("full"))
            #expect(!FileManager.default.fileExists(atPath: directory.path("m.leaf")))
            #expect(failure { _ = try LeafFile.open(path: directory.path("m.leaf.part")) } != nil)
            try SmallModel(weights).write(to: directory.path("m.leaf"))
            #expect(try Data(contentsOf: URL(filePath: directory.path("m.leaf"))) == expected, "call \(calls)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path) == ["m.leaf"])
            calls += 1
        }
        #expect(calls > 30)
    }

    @Test func resumingGoesOnBehindTheFinishedBlocks() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        var model = SmallModel()
        model.options.calls = Self.failing(after: 40, with: EIO)
        #expect(failure { try model.write(to: path) }?.description.contains("input/output error") == true)
        let writer = try LeafWriter(path: path, contents: SmallModel().contents, fingerprint: "small")
        guard case .resumed(let blocks) = writer.start else {
            Issue.record("it began \(writer.start)")
            return
        }
        #expect(blocks > 0 && blocks == writer.completedBlocks)
    }

    @Test func whatHasOtherNamesIsNotWrittenThrough() throws {
        let directory = try TemporaryDirectory()
        let (path, other) = (directory.path("m.leaf"), directory.path("other"))
        try Data(repeating: 0, count: 20).write(to: URL(filePath: other))
        #expect(link(other, path + ".part") == 0)
        try SmallModel().write(to: path)
        #expect(try Data(contentsOf: URL(filePath: other)) == Data(repeating: 0, count: 20))
        // What could be gone on with is not lost.
        let again = directory.path("again.leaf")
        var model = SmallModel()
        model.options.calls = Self.failing(after: 40, with: EIO)
        #expect(failure { try model.write(to: again) } != nil)
        for name in [".part", ".journal"] {
            let before = try Data(contentsOf: URL(filePath: again + name))
            #expect(link(again + name, other + name) == 0)
            #expect(failure { try SmallModel().write(to: again) }?.description.contains("hard link") == true)
            #expect(try Data(contentsOf: URL(filePath: again + name)) == before)
            #expect(unlink(other + name) == 0)
        }
        try SmallModel().write(to: again)
        #expect(try Data(contentsOf: URL(filePath: again)) == Data(contentsOf: URL(filePath: path)))
    }

    /// Files cut off or spoilt at random, as by a disk that lied about what it had written.
    @Test func whatIsNotReallyThereIsWrittenAgain() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let whole = try TemporaryDirectory()
        var begin = 0
        try SmallModel().write(to: whole.path("m.leaf")) { begin = $0.layout.blocksOffset }
        let expected = try Data(contentsOf: URL(filePath: whole.path("m.leaf")))
        for _ in 0..<40 {
            let directory = try TemporaryDirectory()
            var model = SmallModel()
            model.options.calls = Self.failing(after: Int.random(in: 10..<30, using: &generator), with: EIO)
            _ = failure { try model.write(to: directory.path("m.leaf")) }
            let victim = URL(
                filePath: directory.path(Bool.random(using: &generator) ? "m.leaf.part" : "m.leaf.journal"))
            if var data = try? Data(contentsOf: victim), !data.isEmpty {
                let isJournal = victim.pathExtension == "journal"
                let isSpoilt = Bool.random(using: &generator) && (isJournal || data.count > begin)
                // Between what stands before the blocks there are gaps, which nobody reads.
                let offset = Int.random(in: (isSpoilt && !isJournal ? begin : 0)..<data.count, using: &generator)
                if isSpoilt {
                    data[offset] ^= 1
                } else {
                    data.removeLast(data.count - offset)
                }
                try data.write(to: victim)
            }
            try SmallModel().write(to: directory.path("m.leaf"))
            #expect(try Data(contentsOf: URL(filePath: directory.path("m.leaf"))) == expected, "seed \(seed)")
        }
    }

    @Test func damageInAnyFinishedBlockIsFound() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        try SmallModel().write(to: path)
        let expected = try Data(contentsOf: URL(filePath: path))
        try FilePath.remove(path)
        let model = SmallModel()
        var offset = 0
        // Everything is written, but it has no header.
        let stop = failure {
            try model.write(to: path) { writer in
                offset = writer.layout.blocksOffset
                throw LeafError(.cancelled, "stopped")
            }
        }
        #expect(stop?.kind == .cancelled)
        var data = try Data(contentsOf: URL(filePath: path + ".part"))
        data[offset] ^= 1
        try data.write(to: URL(filePath: path + ".part"))
        try model.write(to: path)
        #expect(try Data(contentsOf: URL(filePath: path)) == expected)
    }

    @Test(arguments: ["part", "journal"]) func whatIsNobodysUnfinishedWorkIsNotOverwritten(ending: String) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        let other = directory.path("m.leaf.\(ending)")
        for text in ["precious", ""] {
            if text.isEmpty {
                try SmallModel().write(to: other)
            } else {
                try text.write(toFile: other, atomically: false, encoding: .utf8)
            }
            let before = try Data(contentsOf: URL(filePath: other))
            let error = failure { try SmallModel().write(to: path) }
            #expect(error?.kind == .usage && error?.description.contains("\(other) is there already") == true)
            #expect(try Data(contentsOf: URL(filePath: other)) == before)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path) == ["m.leaf.\(ending)"])
            try FilePath.remove(other)
        }
        try SmallModel().write(to: path)
    }

    @Test func anUnfinishedFileIsNoNameForAnother() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        let first = try LeafWriter(path: path, contents: SmallModel().contents, fingerprint: "small")
        var second = SmallModel()
        second.options.replacesExisting = true
        let error = failure { try second.write(to: path + ".part") }
        #expect(error?.description.contains("m.leaf.part is in use by another run") == true)
        withExtendedLifetime(first) {}
    }

    @Test func anUnfinishedFileOfOtherContentsIsDropped() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        var model = SmallModel()
        model.options.calls = Self.failing(after: 40, with: EIO)
        #expect(failure { try model.write(to: path) } != nil)
        var other = SmallModel(.float32).contents
        other.vocabulary = nil
        let writer = try LeafWriter(path: path, contents: other, fingerprint: "small")
        #expect(writer.start == .discarded && writer.completedBlocks == 0)
    }

    @Test func anUnfinishedFileWithoutABlockLeavesNothing() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        do {
            let writer = try LeafWriter(path: path, contents: SmallModel().contents, fingerprint: "small")
            #expect(FileManager.default.fileExists(atPath: path + ".part"))
            #expect(writer.start == .fresh)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path).isEmpty)
        for calls in 0..<3 {
            var model = SmallModel()
            model.options.calls = Self.failing(after: calls, with: ENOSPC)
            #expect(failure { try model.write(to: path) } != nil)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path).isEmpty, "call \(calls)")
        }
        // What another program left under these names is not a run's own before it begins.
        try FileManager.default.createDirectory(atPath: path + ".part", withIntermediateDirectories: false)
        #expect(failure { try SmallModel().write(to: path) } != nil)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path) == ["m.leaf.part"])
    }

    /// Blocks that an earlier run left stay when a later one is refused or fails at once.
    @Test func workThatIsThereSurvivesAFailure() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        var model = SmallModel()
        model.options.calls = Self.failing(after: 40, with: EIO)
        #expect(failure { try model.write(to: path) } != nil)
        var again = SmallModel()
        again.options.calls = Self.failing(after: 0, with: EIO)
        #expect(failure { try again.write(to: path) } != nil)
        let writer = try LeafWriter(path: path, contents: SmallModel().contents, fingerprint: "small")
        #expect(writer.completedBlocks > 0)
    }

    @Test func resumingCanBeForbidden() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        var model = SmallModel()
        model.options.calls = Self.failing(after: 40, with: EIO)
        #expect(failure { try model.write(to: path) } != nil)
        var options = LeafWriter.Options()
        options.resumes = false
        let writer = try LeafWriter(path: path, contents: SmallModel().contents, fingerprint: "small", options: options)
        #expect(writer.start == .fresh && writer.completedBlocks == 0)
    }

    @Test func twoWritersOfOneFileDoNotMeet() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("m.leaf")
        let first = try LeafWriter(path: path, contents: SmallModel().contents, fingerprint: "small")
        let error = failure { _ = try LeafWriter(path: path, contents: SmallModel().contents, fingerprint: "small") }
        #expect(error?.description.contains("in use by another") == true)
        withExtendedLifetime(first) {}
    }

    @Test func placesThatCannotBeWrittenAreRefused() throws {
        let directory = try TemporaryDirectory()
        for path in [directory.url.path, directory.path("none/m.leaf"), "/proc/m.leaf"] {
            #expect(failure { try SmallModel().write(to: path) } != nil, "\(path)")
        }
        try SmallModel().write(to: directory.path("m.leaf"))
        #expect(failure { try SmallModel().write(to: directory.path("m.leaf")) }?.kind == .usage)
    }
}
