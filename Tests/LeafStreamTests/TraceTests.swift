import Foundation
import LeafFormat
import LeafStream
import LeafSystem
import Testing

/// The timeline that `--trace` writes.
@Suite("traces") struct TraceTests {
    private struct Event {
        let name: String
        let category: String
        let begin: Double
        let end: Double
        let thread: Int
        let arguments: [String: Any]
    }

    private let folder: URL
    private let path: String
    private let model: TestModel
    private let plan: MemoryPlan

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "leaf-trace-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        path = folder.appending(path: "trace.json").path
        model = try TestModel(sizes: [Int](repeating: 20_000, count: 40), seed: 1)
        plan = try MemoryPlan(
            budget: budget(holding: 20_480 * (MemoryPlan.preferredSlotCount + 10)), chunks: model.file.chunks,
            reserved: nothingReserved)
    }

    private func json() throws -> [String: Any] {
        defer { try? FileManager.default.removeItem(at: folder) }
        let data = try Data(contentsOf: URL(filePath: path))
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    /// The complete events, after every event's fields were held against the format.
    private func validated(_ trace: [String: Any]) throws -> [Event] {
        let raw = try #require(trace["traceEvents"] as? [[String: Any]])
        var named: Set<Int> = []
        var events: [Event] = []
        for event in raw {
            let name = try #require(event["name"] as? String)
            #expect(!name.isEmpty)
            _ = try #require(event["pid"] as? Int)
            let thread = try #require(event["tid"] as? Int)
            switch event["ph"] as? String {
            case "M":
                let arguments = try #require(event["args"] as? [String: Any])
                #expect(arguments["name"] is String)
                if name == "thread_name" { named.insert(thread) } else { #expect(name == "process_name") }
            case "X":
                let begin = try #require(event["ts"] as? Double)
                let duration = try #require(event["dur"] as? Double)
                #expect(begin >= 0 && duration >= 0)
                events.append(
                    Event(
                        name: name, category: try #require(event["cat"] as? String), begin: begin,
                        end: begin + duration, thread: thread,
                        arguments: try #require(event["args"] as? [String: Any])))
            case "i": #expect(event["s"] as? String == "g" && event["ts"] is Double)
            case let phase: Issue.record("unknown phase \(phase ?? "none")")
            }
        }
        #expect(named == Set(events.map(\.thread)))
        return events
    }

    @Test(.timeLimit(.minutes(30))) func readsGoOnBetweenTwoSweeps() throws {
        let trace = try TraceRecorder(path: path)
        let pinned = Set(plan.pinnedChunks)
        let streamed = model.file.chunks.indices.filter { !pinned.contains($0) }
        do {
            let store = try BlockStore(
                file: model.file, plan: plan, reading: .init(mode: .direct), consumers: 1, system: .here, trace: trace)
            for sweep in 0..<3 {
                // Nothing of this sweep has been asked for; the readers fill every slot all the same.
                let passed = sweep == 0 ? pinned.count { $0 < streamed[plan.slotCount] } : pinned.count
                while store.counters.reads < sweep * streamed.count + plan.slotCount + passed { usleep(100) }
                let begin = TraceRecorder.now(trace)
                for chunk in model.file.chunks.indices { _ = try store.lease(chunk) }
                trace.record(sweep == 0 ? .prompt : .decode, on: .steps, since: begin, 1)
            }
        }
        #expect(try trace.finish(naming: model.file) == 0)
        let events = try validated(json())
        let sweeps = events.filter { $0.category == "sweep" }.sorted { $0.begin < $1.begin }
        #expect(sweeps.map(\.name) == ["prompt", "decode 1", "decode 2"])
        let reads = events.filter { $0.category == "disk" }
        #expect(reads.allSatisfy { $0.arguments["bytes"] as? Int == 20_480 && $0.arguments["block"] is String })
        for chunk in model.file.chunks.indices {
            let begins = reads.filter { $0.arguments["chunk"] as? Int == chunk }.map(\.begin).sorted()
            if pinned.contains(chunk) {
                #expect(begins.count == 1)
            } else {
                #expect(begins.count == 3 || begins.count == 4)
                // What a sweep begins with was read before the sweep began.
                if streamed.prefix(plan.slotCount).contains(chunk) {
                    for (begin, sweep) in zip(begins, sweeps) { #expect(begin < sweep.begin) }
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(30))) func aConsumerThatSleepsForAChunkIsSeenWaiting() throws {
        let trace = try TraceRecorder(path: path)
        let gate = DispatchSemaphore(value: 0)
        var system = SystemCalls.here
        let late = model.file.chunks[0].offset
        system.read = { descriptor, target, count, offset in
            if offset == late, count > 4096 { gate.wait() }
            return SystemCalls.here.read(descriptor, target, count, offset)
        }
        do {
            let store = try BlockStore(
                file: model.file, plan: plan, reading: .init(mode: .direct), consumers: 1, system: system, trace: trace)
            // Long after the consumer has fallen asleep.
            DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(200)) { gate.signal() }
            _ = try store.lease(0, consumer: 3)
        }
        try trace.finish(naming: model.file)
        let events = try validated(json())
        let wait = try #require(events.first { $0.category == "wait" })
        #expect(wait.arguments["chunk"] as? Int == 0)
        let read = try #require(events.first { $0.category == "disk" && $0.arguments["chunk"] as? Int == 0 })
        #expect(read.begin <= wait.end && read.end <= wait.end)
        #expect(wait.thread != read.thread)
    }

    @Test func aFullRecorderKeepsTheBeginningAndSaysWhatIsMissing() throws {
        let trace = try TraceRecorder(path: path, capacity: 10)
        for number in 0..<25 { trace.record(.rows, on: .compute(number % 2), since: TraceRecorder.now(trace), number) }
        #expect(try trace.finish(naming: model.file) == 15)
        trace.record(.rows, on: .compute(0), since: TraceRecorder.now(trace), 99)
        let json = try json()
        #expect((json["otherData"] as? [String: Int]) == ["events": 10, "dropped": 15])
        #expect(try validated(json).map { $0.arguments["rows"] as? Int } == Array(0..<10))
    }

    @Test func aRecorderWithoutAnEndLeavesNoFileAndABadPathIsReportedAtOnce() throws {
        do { _ = try TraceRecorder(path: path) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
        for bad in [folder.path, folder.path + "/none/trace.json"] {
            #expect(throws: LeafError.self) { try TraceRecorder(path: bad) }
        }
        try FileManager.default.removeItem(at: folder)
    }

    @Test func manyThreadsRecordWithoutLosingAnEvent() throws {
        let trace = try TraceRecorder(path: path)
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            for number in 0..<500 { trace.record(.linear, on: .compute(thread), since: 0, number) }
        }
        try trace.finish(naming: model.file)
        let events = try validated(json())
        #expect(Dictionary(grouping: events, by: \.thread).values.map(\.count) == [Int](repeating: 500, count: 8))
    }
}
