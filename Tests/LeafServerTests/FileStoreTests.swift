import Foundation
import GoldenSupport
import LeafBatch
import LeafFormat
import LeafGeneration
import LeafServer
import LeafSystem
import Synchronization
import Testing

/// What is kept of files and batches, and what is left when something goes wrong.
@Suite struct FileStoreTests {
    private let folder: TemporaryDirectory
    var path: String { folder.path("files") }

    init() throws { folder = try TemporaryDirectory() }

    func store(
        files: Int = 16, bytes: Int = 1 << 20, batches: Int = 4, calls: WriteCalls = WriteCalls(),
        rest: Duration = .milliseconds(1), warn: @escaping @Sendable (String) -> Void = { _ in },
        now: @escaping @Sendable () -> Int = { 1000 }
    ) throws -> FileStore {
        var limits = FileStore.Limits()
        (limits.files, limits.bytes, limits.waitingBatches) = (files, bytes, batches)
        return try FileStore(folder: path, limits, calls: calls, rest: rest, warn: warn, now: now)
    }

    func form(_ text: String, purpose: String = "batch", name: String = "a.jsonl") -> [UInt8] {
        let head = "Content-Disposition: form-data; name="
        return Array(
            """
            --b\r\n\(head)"purpose"\r\n\r\n\(purpose)\r\n--b\r\n\(head)"file"; filename="\(name)"\r\n\r\n\(text)\r
            --b--\r\n
            """.utf8)
    }

    func receive(
        _ store: FileStore, _ body: [UInt8], of owner: String = ""
    ) throws(ServedError) -> FileRecord {
        var rest = body[...]
        return try store.receive(contentType: "multipart/form-data; boundary=b", for: owner) {
            guard !rest.isEmpty else { return nil }
            defer { rest = rest.dropFirst(7) }
            return Array(rest.prefix(7))
        }.record
    }

    func status(_ body: () throws(ServedError) -> Void) -> Int {
        do throws(ServedError) {
            try body()
            return 200
        } catch {
            return error.status.rawValue
        }
    }

    func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }

    func files(_ store: FileStore, _ query: String = "", of owner: String = "") throws -> Object {
        try Object(store.files(PageQuery(query, usual: 100, most: 100), of: owner))
    }

    func wish(_ file: FileRecord, window: String = "24h") throws -> BatchWish {
        try BatchWish(
            Array(
                """
                {"input_file_id":"\(file.id)","endpoint":"/v1/completions","completion_window":"\(window)"}
                """.utf8)[...])
    }

    @Test func aFileIsWhatWasSent() throws {
        let store = try store()
        let record = try receive(store, form("{}\n\r\n--\n"))
        #expect(record.byteCount == 8 && record.name == "a.jsonl")
        let content = try store.content(record.id, of: "")
        #expect(try content.bytes(at: 0, count: content.byteCount) == Array("{}\n\r\n--\n".utf8))
        #expect(try files(store)["data"][0]["id"].text == record.id)
        _ = try store.delete(record.id, of: "")
        #expect(try names() == [])
        #expect(status { () throws(ServedError) in _ = try store.content(record.id, of: "") } == 404)
    }

    @Test(arguments: [
        "../../etc/passwd", "C:\\windows\\a", "/", "", "..", "a\u{202E}b", String(repeating: "长", count: 500),
    ])
    func namesLeadNowhere(_ name: String) throws {
        let store = try store()
        let record = try receive(store, form("x", name: name))
        #expect(!record.name.contains("/") && record.name.utf8.count <= 255 && !record.name.isEmpty)
        #expect(try names() == [record.id, record.id + ".json"])
    }

    @Test func idsThatWereNotMadeLeadNowhere() throws {
        let store = try store()
        let record = try receive(store, form("x"))
        for id in ["", ".", "..", "../a", record.id + ".json", record.id + "/", "batch_" + record.id.dropFirst(5)] {
            #expect(status { () throws(ServedError) in _ = try store.content(id, of: "") } == 404, "\(id)")
            #expect(status { () throws(ServedError) in _ = try store.delete(id, of: "") } == 404, "\(id)")
        }
        #expect(try names().count == 2)
    }

    @Test func nobodySeesTheFilesOfAnotherKey() throws {
        let store = try store()
        let record = try receive(store, form("x"), of: "a")
        for owner in ["", "b"] {
            #expect(status { () throws(ServedError) in _ = try store.content(record.id, of: owner) } == 404)
            #expect(status { () throws(ServedError) in _ = try store.delete(record.id, of: owner) } == 404)
            #expect(try files(store, of: owner)["data"].list.isEmpty)
            let wish = try wish(record)
            #expect(status { () throws(ServedError) in _ = try store.create(wish, for: owner) } == 404)
        }
        #expect(try files(store, of: "a")["data"].list.count == 1)
        // Places in the file of keys change, keys do not.
        #expect(KeyRing(["x", "y"]).owner(at: 1) == KeyRing(["y"]).owner(at: 0))
        #expect(KeyRing(["x", "y"]).owner(at: 0) != KeyRing(["x", "y"]).owner(at: 1))
    }

    @Test func whatIsNoFileOfRequestsLeavesNothing() throws {
        let store = try store()
        let whole = form("{}")
        for body in [
            form("{}", purpose: "fine-tune"), form("{}", purpose: String(repeating: "x", count: 1000)), form(""),
            Array(whole.dropLast(9)), [], Array("--b--".utf8),
        ] { #expect(status { () throws(ServedError) in _ = try receive(store, body) } == 400) }
        #expect(try names() == [])
        #expect(status { () throws(ServedError) in _ = try receive(store, whole) } == 200)
    }

    @Test func limitsAreSentencesAndNotHalfFiles() throws {
        let store = try store(files: 4, bytes: 100)
        let long = form(String(repeating: "x", count: 101))
        #expect(status { () throws(ServedError) in _ = try receive(store, long) } == 507)
        #expect(try names() == [])
        let first = try receive(store, form(String(repeating: "x", count: 97)))
        for _ in 0..<3 { _ = try receive(store, form("x")) }
        #expect(status { () throws(ServedError) in _ = try receive(store, form("x")) } == 507)
        _ = try store.delete(first.id, of: "")
        #expect(try files(store)["data"].list.count == 3)
        // A batch makes two files.
        let left = try files(store)["data"].list.compactMap(\.["id"].text)
        let wish = try BatchWish(
            Array(#"{"input_file_id":"\#(left[0])","endpoint":"/v1/completions","completion_window":"1d"}"#.utf8)[...])
        #expect(status { () throws(ServedError) in _ = try store.create(wish, for: "") } == 507)
        _ = try store.delete(left[1], of: "")
        #expect(status { () throws(ServedError) in _ = try store.create(wish, for: "") } == 200)
    }

    @Test func aFullDiskIsASentenceAndNotHalfAFile() throws {
        var calls = WriteCalls()
        calls.write = { _, _, _, offset in
            guard offset < 20 else {
                errno = ENOSPC
                return -1
            }
            return 1
        }
        let store = try store(calls: calls)
        let body = form(String(repeating: "x", count: 100))
        #expect(status { () throws(ServedError) in _ = try receive(store, body) } == 507)
        #expect(try names() == [])
    }

    /// A disk that is full for a number of writes.
    private func calls(fullFor count: Int) -> WriteCalls {
        var calls = WriteCalls()
        let (write, full) = (calls.write, Countdown(count))
        calls.write = { descriptor, bytes, count, offset in
            guard full.take() else { return write(descriptor, bytes, count, offset) }
            errno = ENOSPC
            return -1
        }
        return calls
    }

    @Test func nobodyIsToldOfAnEndThatIsNotOnTheDisk() throws {
        func begin() throws -> String? {
            let store = try store()
            return try Object(store.create(wish(receive(store, form("x"))), for: ""))["id"].text
        }
        let batch = try #require(try begin())
        var full: FileStore? = try store(calls: calls(fullFor: .max))
        full?.stopBatches()
        #expect(full?.settle(batch) { $0.enter(.failed, at: 1000) } == nil)
        let query = try PageQuery("", usual: 9, most: 9)
        #expect(try Object(try #require(full).batches(query, of: ""))["data"][0]["status"].text == "validating")
        full = nil
        // Once there is room the wait is over, and the next server says the same.
        full = try store(calls: calls(fullFor: 5))
        full?.waitForRoom(batch)
        #expect(full?.settle(batch) { $0.enter(.failed, at: 1000) }?.status == .failed)
        #expect(full?.settle(batch) { $0.made = [$0.output] }?.made.count == 1)
        let told = try Object(try #require(full).batches(query, of: ""))
        full = nil
        #expect(told["data"][0]["status"].text == "failed" && told["data"][0]["output_file_id"].text != nil)
        #expect(told["data"][0]["error_file_id"].text == nil)
        #expect(try Object(store().batches(query, of: "")) == told)
        #expect(try names().allSatisfy { !$0.hasSuffix(".part") })
    }

    @Test func answersTakeNoMoreThanThereIsRoomFor() throws {
        let store = try store(bytes: 100)
        _ = try receive(store, form(String(repeating: "x", count: 40)))
        try store.reserve(answers: 60)
        #expect(throws: LeafError.self) { try store.reserve(answers: 61) }
        // What was refused is not counted, and what was taken is.
        #expect(status { () throws(ServedError) in _ = try receive(store, form("x")) } == 507)
        try store.reserve(answers: 50)
        #expect(status { () throws(ServedError) in _ = try receive(store, form("x")) } == 200)
    }

    @Test func theNextServerHasWhatWasWholeAndNothingElse() throws {
        var store: FileStore? = try store()
        let record = try receive(try #require(store), form("x"))
        let batch = try Object(try #require(store).create(wish(record), for: ""))
        store = nil
        let foreign = ["notes.txt", "file-short", "file-" + String(repeating: "-", count: 24)]
        let id = "file-" + String(repeating: "a", count: 24)
        for name in foreign + [
            id, id + ".part", id + ".json.part", "batch_" + String(repeating: "b", count: 24) + ".answers",
        ] {
            try "x".write(toFile: path + "/" + name, atomically: false, encoding: .utf8)
        }
        let next = try self.store()
        #expect(
            try Set(names()) == Set(foreign + [record.id, record.id + ".json", (batch["id"].text ?? "") + ".json"]))
        #expect(try files(next)["data"][0]["filename"].text == "a.jsonl")
        let page = try Object(next.batches(PageQuery("", usual: 9, most: 9), of: ""))
        #expect(page["data"][0] == batch)
        // Two servers would write over each other.
        withExtendedLifetime(next) { _ = #expect(throws: LeafError.self) { try self.store() } }
    }

    @Test func aDamagedRecordIsNamed() throws {
        _ = try FilePath.makeFolder(path)
        let name = "file-" + String(repeating: "a", count: 24) + ".json"
        try "{".write(toFile: path + "/" + name, atomically: false, encoding: .utf8)
        let error = #expect(throws: LeafError.self) { try store() }
        #expect(error?.description.contains(name) == true)
    }

    @Test func listsComeInPages() throws {
        let store = try store()
        let ids = try Set((0..<5).map { _ in try receive(store, form("x")).id })
        var found: [String] = []
        var query = "limit=2"
        while true {
            let page = try files(store, query)
            let part = page["data"].list.compactMap(\.["id"].text)
            #expect(page["first_id"].text == part.first && page["last_id"].text == part.last)
            found += part
            guard page["has_more"].line == "true" else { break }
            query = "limit=2&after=\(part.last ?? "")"
        }
        #expect(found.count == 5 && Set(found) == ids)
        #expect(try files(store, "order=asc")["data"].list.compactMap(\.["id"].text) == found.reversed())
        #expect(try files(store, "purpose=batch_output")["data"].list.isEmpty)
        for query in ["limit=0", "limit=x", "limit=101", "order=up"] {
            #expect(
                status { () throws(ServedError) in _ = try PageQuery(query, usual: 9, most: 100) } == 400, "\(query)")
        }
        #expect(throws: ServedError.self) { try files(store, "after=x") }
    }

    @Test func filesOfOneSecondAreListedAsTheyCame() throws {
        let time = Mutex(1000)
        func opened() throws -> FileStore { try self.store(now: { time.withLock { $0 } }) }
        func listed(_ store: FileStore) throws -> [String] {
            try files(store, "order=asc")["data"].list.compactMap(\.["filename"].text)
        }
        var store: FileStore? = try opened()
        var kept: [FileRecord] = []
        for name in ["c", "a", "d", "b"] { kept.append(try receive(try #require(store), form("x", name: name))) }
        #expect(try listed(try #require(store)) == ["c", "a", "d", "b"])
        store = nil
        // Of an earlier server, which numbered none; its clock was ahead.
        let record = path + "/" + kept[2].id + ".json"
        let line = try String(contentsOfFile: record, encoding: .utf8)
        #expect(line.contains(#","number":3"#))
        try line.replacing(#","number":3"#, with: "").replacing("1000", with: "2000")
            .write(toFile: record, atomically: true, encoding: .utf8)
        store = try opened()
        _ = try receive(try #require(store), form("x", name: "e"))
        #expect(try listed(try #require(store)) == ["d", "c", "a", "b", "e"])
    }

    @Test func theOwnerIsToldOnceThatABatchWaitsForRoom() throws {
        let told = Mutex([String]())
        func sentences() -> [String] { told.withLock { $0 } }
        let batch: String
        do {
            let store = try self.store()
            batch = try #require(try Object(store.create(wish(receive(store, form("x"))), for: ""))["id"].text)
        }
        let store = try self.store(
            calls: calls(fullFor: 5), warn: { sentence in told.withLock { $0.append(sentence) } })
        store.waitForRoom(batch)
        #expect(sentences().count == 1 && sentences()[0].hasPrefix("\(batch) waits until the folder \(path)"))
        #expect(store.settle(batch) { $0.enter(.failed, at: 1000) }?.status == .failed)
        #expect(sentences().count == 1)
        // It went on meanwhile.
        store.stopBatches()
        store.waitForRoom(batch)
        #expect(sentences().count == 2)
    }

    @Test(arguments: [
        ("24h", true), ("7d", true), ("365d", true), ("1h", true), ("0h", false), ("366d", false), ("24", false),
        ("h", false), ("-1h", false), ("99999999999999999999h", false), ("", false), ("1.5h", false),
    ])
    func aWindowIsATime(_ window: String, _ isTime: Bool) throws {
        let file = try receive(store(), form("x"))
        let wish = try? wish(file, window: window)
        #expect((wish != nil) == isTime)
    }

    @Test func whatABatchIsForIsSaidInWords() {
        let id = "file-" + String(repeating: "a", count: 24)
        for body in [
            "", "[]", "{}", #"{"input_file_id":"\#(id)"}"#,
            #"{"input_file_id":"\#(id)","endpoint":"/v1/fill","completion_window":"24h"}"#,
            #"{"input_file_id":1,"endpoint":"/v1/completions","completion_window":"24h"}"#,
            #"{"input_file_id":"\#(id)","endpoint":"/v1/completions","completion_window":"24h","metadata":{"a":1}}"#,
            #"{"input_file_id":"\#(id)","endpoint":"/v1/completions","completion_window":"24h","session":"x"}"#,
            #"{"input_file_id":"\#(id)","endpoint":"/v1/completions","completion_window":"24h","metadata":{"a":""#
                + String(repeating: "x", count: 5000) + #""}}"#,
        ] { #expect(throws: LeafError.self, "\(body.prefix(90))") { try BatchWish(Array(body.utf8)[...]) } }
    }
}
