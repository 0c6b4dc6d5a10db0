import Foundation
import LeafBatch
import LeafFormat
import LeafGeneration
import LeafServer
import LeafSystem
import Synchronization
import Testing

/// The turns of batches, and how they end.
extension FileStoreTests {
    @Test func batchesHaveTheirTurnsInOrderAndNoMoreWaitThanMay() throws {
        let store = try store(batches: 3)
        let file = try receive(store, form("x"))
        let wish = try wish(file)
        let ids = try (0..<3).map { _ in try Object(store.create(wish, for: ""))["id"].text ?? "" }
        #expect(status { () throws(ServedError) in _ = try store.create(wish, for: "") } == 429)
        #expect(status { () throws(ServedError) in _ = try store.delete(file.id, of: "") } == 400)
        #expect(store.nextBatch(Cancellation())?.id == ids[0])
        store.endRun()
        // One that has not begun is over at once, the one that runs when its run has ended.
        #expect(try Object(store.cancel(ids[1], of: ""))["status"].text == "cancelled")
        let cancellation = Cancellation()
        #expect(store.nextBatch(cancellation)?.id == ids[0])
        #expect(try Object(store.cancel(ids[0], of: ""))["status"].text == "cancelling")
        #expect(cancellation.isCancelled)
        #expect(status { () throws(ServedError) in _ = try store.cancel(ids[1], of: "") } == 400)
        #expect(status { () throws(ServedError) in _ = try store.cancel("batch_x", of: "") } == 404)
        store.stopBatches()
        #expect(store.nextBatch(Cancellation()) == nil)
    }

    @Test func aBatchWhoseTurnDoesNotComeInTimeExpires() throws {
        let time = Mutex(1000)
        let store = try store(batches: 2, now: { time.withLock { $0 } })
        let file = try receive(store, form("x"))
        let ids = try ["3h", "1h"].map { try Object(store.create(wish(file, window: $0), for: ""))["id"].text ?? "" }
        #expect(store.nextBatch(Cancellation())?.id == ids[0])
        func status(_ id: String) throws -> String? {
            let page = try Object(store.batches(PageQuery("", usual: 9, most: 9), of: ""))
            return page["data"].list.first { $0["id"].text == id }?["status"].text
        }
        time.withLock { $0 += 3599 }
        #expect(try status(ids[1]) == "validating")
        time.withLock { $0 += 1 }
        #expect(try status(ids[1]) == "expired")
        #expect(self.status { () throws(ServedError) in _ = try store.cancel(ids[1], of: "") } == 400)
        // It takes no place of those that wait, and has no turn. The one that runs ends by itself.
        time.withLock { $0 += 7200 }
        #expect(try status(ids[0]) == "validating")
        let next = try Object(store.create(wish(file), for: ""))["id"].text
        store.endRun()
        #expect(store.nextBatch(Cancellation())?.id == next)
        #expect(try status(ids[0]) == "expired")
    }

    /// What an earlier server has answered, the last half minute of which its record does not tell.
    @Test func answersThatNobodyGoesOnWithAreCountedAnewAndEndInTime() throws {
        let time = Mutex(1000)
        func opened() throws -> FileStore { try self.store(now: { time.withLock { $0 } }) }
        func begin() throws -> String {
            let store = try opened()
            let batch = try Object(store.create(wish(receive(store, form("x")), window: "1h"), for: ""))
            let id = try #require(batch["id"].text)
            _ = store.settle(id) { $0.enter(.inProgress, at: 1000) }
            return id
        }
        let id = try begin()
        let log = try AnswerLog(
            .init(answers: path + "/" + id + ".answers", job: path + "/" + id + ".answers.job"), resumes: true)
        try log.begin(JobRecord(origin: [("kv", "f16")], seed: 1, inputBytes: 1, inputDigest: 1))
        for line in 1...3 { try log.append(["line": .integer(line)], line: line, isFailure: line == 2) }
        try log.flush()
        let store = try opened()
        func told() throws -> Object {
            try Object(store.batches(PageQuery("", usual: 9, most: 9), of: ""))["data"][0]
        }
        let counts = try told()["request_counts"]
        #expect(counts["total"].integer == 3 && counts["completed"].integer == 2 && counts["failed"].integer == 1)
        #expect(try store.setAside(unless: [("kv", "f32")]).count == 1)
        #expect(try told()["status"].text == "in_progress")
        time.withLock { $0 += 3600 }
        // Its files are made next.
        #expect(try told()["status"].text == "finalizing")
        #expect(store.nextEnd()?.id == id)
        #expect(status { () throws(ServedError) in _ = try store.cancel(id, of: "") } == 400)
    }

    /// A batch that an earlier server has begun, with so many answers.
    private func begin(answers: Int) throws -> String {
        let id: String
        do {
            let store = try store()
            let batch = try Object(store.create(wish(receive(store, form("x"))), for: ""))
            id = try #require(batch["id"].text)
            _ = store.settle(id) { $0.enter(.inProgress, at: 1000) }
        }
        let log = try AnswerLog(
            .init(answers: path + "/" + id + ".answers", job: path + "/" + id + ".answers.job"), resumes: true)
        try log.begin(JobRecord(origin: [("kv", "f16")], seed: 1, inputBytes: 1, inputDigest: 1))
        for line in 0..<answers { try log.append(["line": .integer(line + 1)], line: line + 1, isFailure: false) }
        try log.flush()
        return id
    }

    @Test func aBatchWhoseTurnDoesNotComeEndsInTimeThoughNobodyAsks() throws {
        let aside = try begin(answers: 2)
        let other: String
        do {
            let store = try store()
            other = try #require(try Object(store.create(wish(receive(store, form("x"))), for: ""))["id"].text)
        }
        // A second before the day is over that they have.
        let began = ContinuousClock.now
        let store = try store(now: { 1000 + 86_399 + Int((ContinuousClock.now - began) / .seconds(1)) })
        #expect(try store.setAside(unless: [("kv", "f32")]).count == 1)
        #expect(store.nextEnd()?.id == aside)
        let record = try String(contentsOfFile: path + "/" + other + ".json", encoding: .utf8)
        #expect(record.contains(#""status":"expired""#), "\(record)")
    }

    @Test func whoAsksWakesNobodyWhereNothingHasEnded() throws {
        let looks = Mutex(0)
        let store = try store(now: {
            looks.withLock { $0 += 1 }
            return 1000
        })
        let threads = ThreadGroup()
        try threads.start { _ = store.nextEnd() }
        while looks.withLock({ $0 }) == 0 { usleep(1000) }
        for _ in 0..<50 {
            _ = try store.batches(PageQuery("", usual: 9, most: 9), of: "")
            usleep(100)
        }
        #expect(looks.withLock { $0 } == 51)
        store.stopBatches()
        threads.wait()
    }

    @Test func aBatchThatHasOnlyToEndWaitsForNoneThatRuns() throws {
        let aside = try begin(answers: 2)
        let store = try store()
        #expect(try store.setAside(unless: [("kv", "f32")]).count == 1)
        let other = try Object(store.create(wish(receive(store, form("y"))), for: ""))["id"].text
        #expect(store.nextBatch(Cancellation())?.id == other)
        func told(_ id: String?) throws -> Object {
            try Object(store.batches(PageQuery("", usual: 9, most: 9), of: ""))["data"].list.first {
                $0["id"].text == id
            } ?? Object(JSON.null)
        }
        #expect(try told(aside)["waits_for"]["code"].text == "other_options")
        #expect(try told(other)["waits_for"].line == "null")
        #expect(try Object(store.cancel(aside, of: ""))["status"].text == "cancelling")
        #expect(try told(aside)["waits_for"].line == "null")
        #expect(store.nextEnd()?.id == aside)
        // The one that runs ends by itself.
        _ = store.settle(aside) { $0.enter(.cancelled, at: 1000) }
        _ = try store.cancel(try #require(other), of: "")
        store.stopBatches()
        #expect(store.nextEnd() == nil)
    }

    @Test func aBatchWithoutAnswersIsBoundToNoOptions() throws {
        let id = try begin(answers: 0)
        let store = try store()
        #expect(try store.setAside(unless: [("kv", "f32")]) == [])
        #expect(try names().allSatisfy { !$0.contains("answers") })
        let told = try Object(store.batches(PageQuery("", usual: 9, most: 9), of: ""))["data"][0]
        #expect(told["waits_for"].line == "null")
        #expect(store.nextBatch(Cancellation())?.id == id)
    }

    @Test func asManyBatchesWaitAsMayBesideTheOneThatRuns() throws {
        let store = try store(batches: 2)
        let wish = try wish(receive(store, form("x")))
        _ = try store.create(wish, for: "")
        #expect(store.nextBatch(Cancellation()) != nil)
        for _ in 0..<2 { _ = try store.create(wish, for: "") }
        #expect(status { () throws(ServedError) in _ = try store.create(wish, for: "") } == 429)
        store.endRun()
        #expect(status { () throws(ServedError) in _ = try store.create(wish, for: "") } == 429)
    }
}
