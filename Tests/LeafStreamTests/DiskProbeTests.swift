import Foundation
import LeafFormat
import LeafStream
import LeafSystem
import Testing

@Suite("disk probe") struct DiskProbeTests {
    /// A store reads chunk after chunk: so does the probe, from offsets all over the file.
    @Test func theProbeReadsInRunsAllOverTheFile() throws {
        let request = 4096
        let model = try TestModel(sizes: [Int](repeating: request, count: 3000), seed: 2)
        let offsets = Locked<[Int]>([])
        var system = SystemCalls.here
        system.read = { descriptor, target, count, offset in
            let number = offsets.withLock { list in
                list.append(offset)
                return list.count
            }
            // The 1400th read ends the test, not a clock.
            return number > 1400 ? -Int(EIO) : SystemCalls.here.read(descriptor, target, count, offset)
        }
        #expect(throws: LeafError.self) {
            try DiskProbe.measure(
                path: model.file.path, seconds: 60, request: .init(bytes: request, depth: 1), system: system)
        }
        // The first read asks whether direct reading works.
        let pieces = offsets.withLock { $0.dropFirst().map { $0 / request } }
        let breaks = zip(pieces, pieces.dropFirst()).enumerated().filter { $1.1 != ($1.0 + 1) % 3001 }.map {
            $0.offset + 1
        }
        #expect(breaks == Array(stride(from: 128, to: 1400, by: 128)))
        let starts = stride(from: 0, to: 1280, by: 128).map { pieces[$0] }.sorted()
        #expect(zip(starts, starts.dropFirst()).allSatisfy { $1 - $0 < 600 } && starts[0] < 600 && starts[9] > 2400)
    }

    @Test func theProbeReadsBothCopiesAsAStoreWould() throws {
        let model = try TestModel(sizes: [Int](repeating: 50_000, count: 20), seed: 1)
        let mirror = model.file.path + ".copy"
        try FileManager.default.copyItem(atPath: model.file.path, toPath: mirror)
        defer { unlink(mirror) }
        let paths = Locked<[Int32: String]>([:])
        let read = Locked<[String: Int]>([:])
        var system = SystemCalls.here
        system.open = { path, direct in
            let descriptor = SystemCalls.here.open(path, direct)
            paths.withLock { $0[descriptor] = path }
            return descriptor
        }
        system.read = { descriptor, target, count, offset in
            let path = paths.withLock { $0[descriptor] ?? "" }
            read.withLock { $0[path, default: 0] += count }
            return SystemCalls.here.read(descriptor, target, count, offset)
        }
        let probe = try DiskProbe.measure(
            path: model.file.path, reading: ReadingOptions(mode: .buffered, mirror: mirror), seconds: 0,
            request: .init(bytes: 64 << 10, depth: 4), system: system)
        #expect(probe.mode == .buffered && probe.bytesRead == 4 * 64 << 10)
        #expect(read.withLock { $0 } == [model.file.path: 2 * 64 << 10, mirror: 2 * 64 << 10])
        #expect(
            #expect(throws: LeafError.self) {
                try DiskProbe.measure(path: model.file.path, reading: ReadingOptions(mirror: "/nowhere/x"), seconds: 1)
            }?.description.hasPrefix("/nowhere/x: ") == true)
    }

    @Test func theProbeReadsTheFileWithTheModeThatWorks() throws {
        let model = try TestModel(sizes: [Int](repeating: 50_000, count: 20), seed: 1)
        let probe = try DiskProbe.measure(
            path: model.file.path, seconds: 0.02, request: .init(bytes: 64 << 10, depth: 4), system: .here)
        #expect(probe.mode == .direct && probe.bytesRead >= 64 << 10 && probe.bytesPerSecond > 0)
        var system = SystemCalls.here
        system.open = { path, direct in direct ? -EINVAL : SystemCalls.here.open(path, direct) }
        let buffered = try DiskProbe.measure(
            path: model.file.path, seconds: 0, request: .init(bytes: 64 << 10, depth: 2), system: system)
        #expect(buffered.mode == .buffered && buffered.bytesRead == 128 << 10)
        system.read = { _, _, _, _ in -Int(EIO) }
        #expect(throws: LeafError.self) {
            try DiskProbe.measure(
                path: model.file.path, seconds: 1, request: .init(bytes: 4096, depth: 2), system: system)
        }
        #expect(throws: LeafError.self) { try DiskProbe.measure(path: "/nowhere/x", seconds: 1) }
        #expect(truncate(model.file.path, 100) == 0)
        #expect(throws: LeafError.self) { try DiskProbe.measure(path: model.file.path, seconds: 1) }
    }
}
