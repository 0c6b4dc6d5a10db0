import Foundation
import GoldenSupport
import LeafFormat
import LeafStream
import LeafSystem
import Testing

/// Every way in which reading can go wrong ends in one sentence that says where, for all consumers alike.
@Suite("faults") struct FaultTests {
    private let sizes = [Int](repeating: 20_000, count: 24)

    private func store(
        _ model: TestModel, _ mode: IOMode, guardsMapping: Bool = false, consumers: Int = 1,
        system: SystemCalls = .here
    ) throws -> BlockStore {
        let chunks = model.file.chunks
        let given = budget(holding: MemoryPlan.preferredSlotCount * chunks.map(\.slotBytes).max()! + 2 * 20_480)
        let plan = try MemoryPlan(budget: given, chunks: chunks, reserved: nothingReserved)
        #expect(plan.pinnedChunks.count == 2)
        return try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: mode, guardsMapping: guardsMapping),
            consumers: consumers, system: system)
    }

    /// The chunk at which each consumer got an error, and the error.
    private func failures(_ store: BlockStore, _ model: TestModel, consumers: Int) -> [String] {
        let failures = Mistakes()
        onThreads(consumers) { _ in
            for sweep in 0..<3 {
                for chunk in model.file.chunks.indices {
                    do {
                        let lease = try store.lease(chunk)
                        if !lease.bytes.hold(model.contents[chunk]) { failures.add("wrong bytes") }
                    } catch {
                        failures.add("sweep \(sweep) chunk \(chunk): \(error)")
                        return
                    }
                }
            }
        }
        return failures.all
    }

    @Test(arguments: [IOMode.direct, .buffered])
    func aReadErrorReachesAllConsumersAtTheSameChunk(mode: IOMode) throws {
        let model = try TestModel(sizes: sizes, seed: 1)
        let bad = model.file.chunks[9].offset
        var system = SystemCalls.here
        system.read = { descriptor, target, count, offset in
            (offset..<offset + count).contains(bad)
                ? -Int(EIO) : SystemCalls.here.read(descriptor, target, count, offset)
        }
        let store = try store(model, mode, consumers: 3, system: system)
        let expected =
            "\(model.file.path): block 2 (layer 2, feed-forward), encoder.layers.2.ffn.w_out outputs 16-31 at byte \(bad): "
            + "input/output error; check the disk, then copy the file or make it again"
        #expect(failures(store, model, consumers: 3) == [String](repeating: "sweep 0 chunk 9: " + expected, count: 3))
        // Dead is dead, also after a clean-up, also for a chunk that was there.
        store.abandonSweep()
        for chunk in [0, 9, 23] {
            let error = #expect(throws: LeafError.self) { _ = try store.lease(chunk) }
            #expect(error?.description == expected)
            #expect(error?.exitCode == 1)
        }
    }

    @Test func ofSeveralErrorsTheFirstInOrderIsReported() throws {
        let model = try TestModel(sizes: sizes, seed: 2)
        let offsets = model.file.chunks.map(\.offset)
        var system = SystemCalls.here
        system.read = { descriptor, target, count, offset in
            if offset == offsets[2] {
                usleep(20_000)
                return -Int(EIO)
            }
            return offset == offsets[3] ? -Int(ENXIO) : SystemCalls.here.read(descriptor, target, count, offset)
        }
        let store = try store(model, .direct, system: system)
        let failures = failures(store, model, consumers: 1)
        #expect(failures.count == 1)
        #expect(failures.first?.contains("chunk 2") == true && failures.first?.contains("input/output error") == true)
    }

    @Test(arguments: [IOMode.direct, .buffered])
    func interruptedAndShortReadsAreContinued(mode: IOMode) throws {
        let seed = UInt64.random(in: 0 ... .max)
        let model = try TestModel(sizes: sizes, packed: [5, 6], seed: seed)
        let random = Locked(SeededGenerator(seed: seed))
        var system = SystemCalls.here
        system.read = { descriptor, target, count, offset in
            let dice = random.withLock { Int.random(in: 0..<4, using: &$0) }
            let share = random.withLock { Int.random(in: 1...count, using: &$0) }
            switch dice {
            case 0: return -Int(EINTR)
            case 1:
                return SystemCalls.here.read(
                    descriptor, target, mode == .direct ? max(4096, share / 4096 * 4096) : share, offset)
            // A direct read may end anywhere, although the next has to begin at a multiple of 4096.
            case 2: return min(max(4096, share), SystemCalls.here.read(descriptor, target, count, offset))
            default: return SystemCalls.here.read(descriptor, target, count, offset)
            }
        }
        let store = try store(model, mode, system: system)
        #expect(failures(store, model, consumers: 1) == [], "seed \(seed)")
    }

    @Test func refusedDirectReadsFallBackOnlyWhenNothingElseWasAskedFor() throws {
        let model = try TestModel(sizes: sizes, seed: 3)
        var refusesOpen = SystemCalls.here
        refusesOpen.open = { path, direct in direct ? -EINVAL : SystemCalls.here.open(path, direct) }
        // Some file systems open and then refuse to read.
        let directDescriptors = Locked<Set<Int32>>([])
        var refusesRead = SystemCalls.here
        refusesRead.open = { path, direct in
            let descriptor = SystemCalls.here.open(path, direct)
            if direct { directDescriptors.withLock { _ = $0.insert(descriptor) } }
            return descriptor
        }
        refusesRead.close = { descriptor in
            directDescriptors.withLock { _ = $0.remove(descriptor) }
            SystemCalls.here.close(descriptor)
        }
        refusesRead.read = { descriptor, target, count, offset in
            directDescriptors.withLock { $0.contains(descriptor) }
                ? -Int(EINVAL) : SystemCalls.here.read(descriptor, target, count, offset)
        }
        for system in [refusesOpen, refusesRead] {
            let store = try store(model, .auto, system: system)
            #expect(store.mode == .buffered)
            #expect(failures(store, model, consumers: 1) == [])
            let error = #expect(throws: LeafError.self) { _ = try self.store(model, .direct, system: system) }
            #expect(error?.exitCode == 1)
            #expect(
                error?.description
                    == "\(model.file.path): this file system refuses direct reads (invalid argument)"
            )
        }
        #expect(try store(model, .auto).mode == .direct)
    }

    @Test func refusedMemoryIsAnError() throws {
        let model = try TestModel(sizes: sizes, seed: 4)
        var system = SystemCalls.here
        system.map = { descriptor, count in -Int(ENOMEM) }
        #expect(throws: LeafError.self) { _ = try self.store(model, .direct, system: system) }
        let error = #expect(throws: LeafError.self) { _ = try self.store(model, .map, system: system) }
        #expect(
            error?.description
                == "\(model.file.path): cannot be mapped (cannot allocate memory)")
    }

    @Test(.timeLimit(.minutes(30)), arguments: 0..<4) func readersThatCannotStartAreAnError(started: Int) throws {
        let model = try TestModel(sizes: sizes, seed: 4)
        let few = SystemCalls.here.starting(atMost: started)
        let error = #expect(throws: LeafError.self) { _ = try self.store(model, .buffered, system: few) }
        #expect(error?.kind == .io && error?.description.hasPrefix("no more threads can be started") == true)
        let probing = #expect(throws: LeafError.self) {
            _ = try DiskProbe.measure(
                path: model.file.path, seconds: 3600, request: .init(bytes: 4096, depth: 5),
                system: .here.starting(atMost: started))
        }
        #expect(probing == error)
    }

    @Test(arguments: [IOMode.direct, .buffered, .map])
    func aFileThatShrinksIsAnError(mode: IOMode) throws {
        let model = try TestModel(sizes: sizes, seed: 5)
        let store = try store(model, mode)
        // Cut in the middle of a chunk that no slot can hold yet.
        let cut = model.file.chunks[20]
        do {
            let lease = try store.lease(0)
            let isRight = lease.bytes.hold(model.contents[0])
            #expect(isRight)
            #expect(truncate(model.file.path, off_t(cut.offset + 5000)) == 0)
        }
        var failure: (chunk: Int, error: LeafError)?
        for chunk in 1..<24 where failure == nil {
            do throws(LeafError) {
                _ = try store.lease(chunk)
            } catch {
                failure = (chunk, error)
            }
        }
        #expect(failure?.chunk == 20)
        #expect(
            failure?.error.description.hasSuffix(
                "at byte \(cut.offset): the file ends at byte \(cut.offset + 5000), before the end that its table gives; copy it or make it again"
            )
                == true, "\(String(describing: failure))")
    }

    @Test func aFileShorterThanItsTableIsRefusedAtOnce() throws {
        let model = try TestModel(sizes: sizes, seed: 6)
        #expect(truncate(model.file.path, 100_000) == 0)
        for mode in IOMode.allCases {
            let error = #expect(throws: LeafError.self) { _ = try self.store(model, mode) }
            #expect(error?.description.contains("the file ends at byte 100000") == true)
        }
    }

    @Test(arguments: [IOMode.direct, .buffered, .map])
    func changedBytesFailTheirDigest(mode: IOMode) throws {
        let model = try TestModel(sizes: sizes, packed: [11], seed: 7)
        for chunk in [4, 11] {
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: model.file.path))
            // In the padding, which belongs to the digest too.
            let offset = UInt64(model.file.chunks[chunk].offset + model.file.chunks[chunk].paddedBytes - 1)
            try file.seek(toOffset: offset)
            try file.write(contentsOf: Data([1]))
            let failures = failures(try store(model, mode, consumers: 2), model, consumers: 2)
            #expect(failures.count == 2 && Set(failures).count == 1)
            #expect(failures.first?.hasPrefix("sweep 0 chunk \(chunk): \(model.file.path): block \(chunk / 4)") == true)
            #expect(failures.first?.contains("fails its checksum") == true)
            try file.seek(toOffset: offset)
            try file.write(contentsOf: Data([0]))
        }
    }

    @Test func packedBytesThatDoNotUnpackAreAnError() throws {
        let good = try TestModel(sizes: sizes, packed: [8], seed: 8)
        // A right digest of wrong bytes.
        let chunk = good.file.chunks[8]
        let rubbish =
            [UInt8](repeating: 0xFF, count: chunk.storedBytes)
            + [UInt8](repeating: 0, count: chunk.paddedBytes - chunk.storedBytes)
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: good.file.path))
        try file.seek(toOffset: UInt64(chunk.offset))
        try file.write(contentsOf: Data(rubbish))
        var chunks = good.file.chunks
        chunks[8] = Chunk(
            matrix: chunk.matrix, firstOutput: chunk.firstOutput, outputCount: chunk.outputCount, offset: chunk.offset,
            storedBytes: chunk.storedBytes, rawBytes: chunk.rawBytes, codec: .lz4, digest: ChunkDigest.of(rubbish))
        let hostile = LeafFile(
            path: good.file.path, fileBytes: good.file.fileBytes,
            weights: .int8,
            tensors: [], blocks: good.file.blocks, matrices: good.file.matrices, chunks: chunks, regions: [])
        let plan = try MemoryPlan(budget: 1 << 17, chunks: chunks, reserved: nothingReserved)
        let store = try BlockStore(
            file: hostile, plan: plan, reading: .init(mode: .direct), consumers: 1, system: .here)
        for chunk in 0..<8 { _ = try store.lease(chunk) }
        let error = #expect(throws: LeafError.self) { _ = try store.lease(8) }
        #expect(error?.description.contains("does not unpack") == true)
    }

    @Test func aFailingPopulationIsAnErrorAndAnUnknownOneIsReplacedByTouching() throws {
        let model = try TestModel(sizes: sizes, seed: 9)
        for (code, outcome) in [(EFAULT, "input/output error"), (ENOMEM, "cannot allocate memory"), (EINVAL, nil)] {
            let calls = Locked(0)
            var system = SystemCalls.here
            system.adviseMemory = { address, count, advice in
                guard advice == .populate else { return SystemCalls.here.adviseMemory(address, count, advice) }
                return calls.withLock {
                    $0 += 1
                    return $0
                } % 2 == 0 ? -code : -EINTR
            }
            let failures = failures(try store(model, .map, system: system), model, consumers: 1)
            if let outcome {
                #expect(failures.count == 1 && failures[0].contains(outcome))
            } else {
                #expect(failures == [])
            }
        }
    }

    @Test(arguments: [IOMode.direct, .buffered, .map]) func aFileThatIsWrittenToInPlaceIsFound(mode: IOMode) throws {
        let model = try TestModel(sizes: sizes, seed: 11)
        let store = try store(model, mode)
        #expect(failures(store, model, consumers: 1) == [])
        try store.checkUnchanged()
        // A kernel's clock for files has ticks of some milliseconds.
        usleep(30_000)
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: model.file.path))
        try file.seek(toOffset: UInt64(model.file.chunks[5].offset))
        try file.write(contentsOf: Data([1]))
        for _ in 0..<2 {
            let error = #expect(throws: LeafError.self) { try store.checkUnchanged() }
            #expect(error?.kind == .io && error?.description.hasPrefix("\(model.file.path) was written to") == true)
        }
    }

    /// A file that takes the place of another changes nothing for whoever has that one open.
    @Test func aFileThatIsReplacedByAnotherStaysTheSame() throws {
        let model = try TestModel(sizes: sizes, seed: 12)
        let store = try store(model, .buffered)
        let other = model.file.path + ".other"
        try Data(count: 100).write(to: URL(fileURLWithPath: other))
        #expect(rename(other, model.file.path) == 0)
        #expect(failures(store, model, consumers: 1) == [])
        try store.checkUnchanged()
    }

    @Test func everyChangeOfSizeOrTimeCountsAndNothingElse() throws {
        let model = try TestModel(sizes: sizes, seed: 13)
        let opened = FileStamp(byteCount: 100, modified: 7)
        let stamp = Locked<FileStamp?>(opened)
        let asked = Locked(0)
        var system = SystemCalls.here
        system.stamp = { _ in
            asked.withLock { $0 += 1 }
            return stamp.withLock { $0 }
        }
        let store = try store(model, .buffered, system: system)
        let before = asked.withLock { $0 }
        try store.checkUnchanged()
        #expect(asked.withLock { $0 } == before + 1)
        for (bytes, time) in [(100, 8), (100, 6), (99, 7), (101, 7)] {
            stamp.withLock { $0 = FileStamp(byteCount: bytes, modified: time) }
            #expect(throws: LeafError.self) { try store.checkUnchanged() }
        }
        // What the system does not tell is nobody's fault.
        for known in [opened, nil] {
            stamp.withLock { $0 = known }
            try store.checkUnchanged()
        }
    }

    @Test func aFileThatIsNotThereIsNamed() throws {
        let model = try TestModel(sizes: sizes, seed: 10)
        unlink(model.file.path)
        let error = #expect(throws: LeafError.self) { _ = try self.store(model, .auto) }
        #expect(error?.description.hasPrefix("\(model.file.path): no such file or directory") == true)
    }
}
