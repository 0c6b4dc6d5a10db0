import Foundation
import GoldenSupport
import LeafBatch
import LeafFormat
import LeafSystem
import Testing

/// The files of a job after every way in which a run may end.
@Suite struct AnswerLogTests {
    private let folder: TemporaryDirectory
    private let paths: AnswerLog.Paths
    private let record = JobRecord(
        origin: [("model", "0123"), ("kv", "f16")], seed: 7, inputBytes: 100, inputDigest: 0xABC)

    init() throws {
        folder = try TemporaryDirectory()
        paths = AnswerLog.Paths(
            answers: folder.path("out.jsonl"), job: folder.path("out.jsonl.job"), errors: folder.path("errors.jsonl"))
    }

    private func contents(_ name: String) throws -> String {
        try String(contentsOfFile: folder.path(name), encoding: .utf8)
    }

    private func removeFiles() {
        for name in ["out.jsonl", "out.jsonl.job", "errors.jsonl"] {
            try? FileManager.default.removeItem(atPath: folder.path(name))
        }
    }

    private func answer(_ line: Int) -> JSON {
        ["id": .integer(line), line.isMultiple(of: 3) ? "error" : "text": "春眠不觉晓"]
    }

    /// A run that answers some lines; those divisible by three fail.
    private func run(_ lines: [Int], resumes: Bool = false, calls: WriteCalls = WriteCalls()) throws {
        let log = try AnswerLog(paths, resumes: resumes, calls: calls)
        if log.begun == nil {
            try log.begin(record)
        } else {
            var done = LineSet(lines: 100)
            _ = try log.resume(&done)
        }
        for line in lines { try log.append(answer(line), line: line, isFailure: line.isMultiple(of: 3)) }
        try log.flush()
    }

    /// What a later run finds.
    private func resumed() throws -> (done: [Int], failed: Int, begun: JobRecord?) {
        let log = try AnswerLog(paths, resumes: true)
        var done = LineSet(lines: 100)
        let failed = log.begun == nil ? 0 : try log.resume(&done)
        if log.begun == nil { try log.begin(record) }
        return ((1...100).filter { done.contains($0) }, failed, log.begun)
    }

    private func lines(_ numbers: [Int]) -> String { numbers.map { answer($0).line + "\n" }.joined() }

    @Test func anAnswerIsComparedWithTheFirstOne() throws {
        let log = try AnswerLog(paths, resumes: false)
        try log.begin(record)
        for line in [5, 3, 8] { try log.append(answer(line), line: line, isFailure: line == 3) }
        func bytes(_ line: Int) -> [UInt8] { Array((answer(line).line + "\n").utf8) }
        #expect(try log.holds(bytes(3), line: 3, isFailure: true))
        #expect(try log.holds(bytes(8), line: 8, isFailure: false))
        #expect(try !log.holds(bytes(3), line: 3, isFailure: false))
        #expect(try !log.holds(bytes(5), line: 8, isFailure: false))
        #expect(try !log.holds(bytes(4), line: 4, isFailure: false))
        // Their records take several pieces.
        for line in 10..<6000 { try log.append(answer(line), line: line, isFailure: false) }
        for line in [5, 8, 10, 11, 3000, 5998, 5999] {
            #expect(try log.holds(bytes(line), line: line, isFailure: false), "\(line)")
            #expect(try !log.holds(bytes(line + 1), line: line, isFailure: false), "\(line)")
        }
        #expect(try !log.holds(bytes(6000), line: 6000, isFailure: false))
    }

    @Test(arguments: [Int.min, -64, -1, 0, 65, .max]) func aSetHasNoLinesThatAreNotThere(line: Int) {
        var lines = LineSet(lines: 3)
        #expect(!lines.contains(line) && !lines.insert(line))
        #expect(lines.insert(3) && lines.contains(3) && !lines.insert(3))
    }

    @Test func whatWasAnsweredIsKnownAfterwards() throws {
        try run([4, 2, 9])
        #expect(try contents("out.jsonl") == lines([4, 2, 9]))
        #expect(try contents("errors.jsonl") == lines([9]))
        let found = try resumed()
        #expect(found.done == [2, 4, 9])
        #expect(found.failed == 1)
        #expect(found.begun == record)
        try run([3, 1], resumes: true)
        #expect(try contents("out.jsonl") == lines([4, 2, 9, 3, 1]))
        #expect(try contents("errors.jsonl") == lines([9, 3]))
        #expect(try resumed().done == [1, 2, 3, 4, 9])
    }

    /// Records come first: every length that the files may have when the power goes.
    @Test func whateverIsTornIsCutOff() throws {
        try run([4, 2, 9])
        let (answers, job) = (try contents("out.jsonl").utf8.count, try contents("out.jsonl.job").utf8.count)
        let jobText = try contents("out.jsonl.job")
        let header = record.line.utf8.count
        let whole = (0...3).map { count in lines(Array([4, 2, 9].prefix(count))).utf8.count }
        let records = { (bytes: Int) in jobText.utf8.prefix(bytes).count { $0 == UInt8(ascii: "\n") } - 1 }
        for (answerBytes, jobBytes) in [(answers, job)] + (0..<answers).map({ ($0, job) })
            + (header..<job).map({ (whole[records($0)], $0) })
        {
            for areZeros in [false, true] {
                removeFiles()
                try run([4, 2, 9])
                #expect(truncate(paths.answers, answerBytes) == 0)
                // The size may come to the disk before the bytes.
                if areZeros { #expect(truncate(paths.answers, whole[records(jobBytes)]) == 0) }
                #expect(truncate(paths.job, jobBytes) == 0)
                let expected = min(records(jobBytes), whole.dropFirst().count { $0 <= answerBytes })
                if expected < 3 { #expect(truncate(folder.path("errors.jsonl"), 0) == 0) }
                let found = try resumed()
                #expect(found.done == [4, 2, 9].prefix(expected).sorted(), "\(answerBytes) \(jobBytes)")
                #expect(try contents("out.jsonl") == lines(Array([4, 2, 9].prefix(expected))))
                #expect(try contents("errors.jsonl") == lines(expected == 3 ? [9] : []))
            }
        }
    }

    @Test(arguments: ["my own note\n", "{\"id\":1,\"text\":\"春\"}\n", "x"])
    func whatSomebodyAddedIsNotCutOff(added: String) throws {
        try run([4, 9])
        for name in ["out.jsonl", "errors.jsonl"] {
            let before = try contents(name)
            try (before + added).write(toFile: folder.path(name), atomically: false, encoding: .utf8)
            let error = #expect(throws: LeafError.self) { try run([1], resumes: true) }
            #expect(error?.description.contains("\(name) holds what is not of this job") == true)
            #expect(try contents(name) == before + added)
            try before.write(toFile: folder.path(name), atomically: false, encoding: .utf8)
        }
        try run([1], resumes: true)
        #expect(try contents("out.jsonl") == lines([4, 9, 1]))
    }

    @Test(arguments: ["out.jsonl", "out.jsonl.job"]) func whatIsTakenAwayMeanwhileEndsTheRun(name: String) throws {
        for change in [
            { try FileManager.default.removeItem(atPath: $0) }, { #expect(truncate($0, 1) == 0) },
            { try Data("mine\n".utf8).write(to: URL(filePath: $0), options: .atomic) },
        ] as [(String) throws -> Void] {
            let folder = try TemporaryDirectory()
            let paths = AnswerLog.Paths(answers: folder.path("out.jsonl"), job: folder.path("out.jsonl.job"))
            let log = try AnswerLog(paths, resumes: false)
            try log.begin(record)
            try log.append(answer(1), line: 1, isFailure: false)
            try log.flush()
            try change(folder.path(name))
            let left = try? Data(contentsOf: URL(filePath: folder.path(name)))
            try log.append(answer(2), line: 2, isFailure: false)
            let error = #expect(throws: LeafError.self) { try log.flush() }
            #expect(error?.description.contains("\(name) was removed or changed") == true)
            #expect((try? Data(contentsOf: URL(filePath: folder.path(name)))) == left)
        }
    }

    @Test func aMissingFileOfAnswersIsMadeAgain() throws {
        let failures = lines([9, 3])
        // What failed comes again, as much of it as there is.
        for held in (0...failures.utf8.count).map({ String(decoding: failures.utf8.prefix($0), as: UTF8.self) }) {
            removeFiles()
            try run([4, 2, 9, 3])
            try FileManager.default.removeItem(atPath: paths.answers)
            #expect(truncate(folder.path("errors.jsonl"), held.utf8.count) == 0)
            #expect(try resumed().done == [])
            #expect(try contents("out.jsonl") == "" && contents("errors.jsonl") == "")
        }
        try run([9], resumes: true)
        #expect(try contents("out.jsonl") == lines([9]) && contents("errors.jsonl") == lines([9]))
    }

    @Test(arguments: ["poems", #"{"id":9,"error":"another"}"# + "\n"])
    func whereAnswersAreMissingSomebodysFileIsNotTakenForErrors(held: String) throws {
        try run([4, 2, 9])
        try FileManager.default.removeItem(atPath: paths.answers)
        try held.write(toFile: folder.path("errors.jsonl"), atomically: false, encoding: .utf8)
        let error = #expect(throws: LeafError.self) { try resumed() }
        #expect(error?.description.contains("errors.jsonl holds what is not of this job, behind byte 0") == true)
        #expect(try contents("errors.jsonl") == held)
    }

    /// The last answer is one of a request that failed.
    @Test func aTornFailureIsComputedAgain() throws {
        let whole = lines([4, 9]).utf8.count
        for count in lines([4]).utf8.count..<whole {
            removeFiles()
            try run([4, 9])
            #expect(truncate(paths.answers, count) == 0)
            #expect(try resumed().done == [4])
            #expect(try contents("out.jsonl") == lines([4]) && contents("errors.jsonl") == "")
        }
    }

    /// A machine that went down has lengthened a file and not filled it.
    @Test(arguments: ["out.jsonl", "out.jsonl.job", "errors.jsonl"], [1, 70_000])
    func zerosAtTheEndAreNobodys(name: String, count: Int) throws {
        try run([4, 9])
        let before = try contents(name)
        #expect(truncate(folder.path(name), before.utf8.count + count) == 0)
        #expect(try resumed().done == [4, 9])
        #expect(try contents(name) == before)
        // The end of what was written is missing.
        #expect(truncate(folder.path(name), before.utf8.count - 10) == 0)
        #expect(truncate(folder.path(name), before.utf8.count) == 0)
        if name == "out.jsonl.job" {
            // Records come to the disk first.
            #expect(truncate(paths.answers, lines([4]).utf8.count) == 0)
            #expect(truncate(folder.path("errors.jsonl"), 0) == 0)
        }
        try run([], resumes: true)
        #expect(try contents("errors.jsonl") == (name == "errors.jsonl" ? lines([9]) : ""))
    }

    @Test(arguments: [0, 12]) func aJobOfZerosIsNone(kept: Int) throws {
        try run([4])
        try FileManager.default.removeItem(atPath: paths.answers)
        #expect(truncate(paths.job, kept) == 0 && truncate(folder.path("errors.jsonl"), 0) == 0)
        #expect(truncate(paths.job, 300) == 0)
        #expect(try resumed().begun == nil)
        #expect(try resumed().begun == record)
    }

    @Test func aJobWhoseAnswersAreMissingIsNotBegunAnew() throws {
        try run([4])
        try FileManager.default.removeItem(atPath: paths.answers)
        let before = try contents("out.jsonl.job")
        let error = #expect(throws: LeafError.self) { try run([4]) }
        #expect(error?.kind == .usage && error?.advice == .setting("resume"))
        #expect(error?.description.contains("out.jsonl.job is there already") == true)
        #expect(try contents("out.jsonl.job") == before && !FilePath.exists(paths.answers))
    }

    @Test func aResultThatIsBeingWrittenIsNoPlaceForAnswers() throws {
        let result = try UnfinishedFile(path: paths.answers, isCancelled: { false })
        let error = #expect(throws: LeafError.self) { try run([4]) }
        #expect(error?.description.contains("in use by another run") == true)
        try result.finish()
        try FilePath.remove(paths.answers)
        let log = try AnswerLog(paths, resumes: false)
        for path in [paths.answers, paths.job, folder.path("errors.jsonl")] {
            let error = #expect(throws: LeafError.self) { try UnfinishedFile(path: path, isCancelled: { false }) }
            #expect(error?.description.contains("in use by another run") == true)
        }
        withExtendedLifetime(log) {}
    }

    @Test func theByteThatDiffersIsNamed() throws {
        try run([9, 6])
        let before = try contents("errors.jsonl")
        let place = lines([9]).utf8.count + 6
        var bytes = Array(before.utf8)
        bytes[place] = UInt8(ascii: "#")
        try Data(bytes).write(to: URL(filePath: folder.path("errors.jsonl")))
        let error = #expect(throws: LeafError.self) { try run([1], resumes: true) }
        #expect(error?.description.contains("at byte \(place);") == true, "\(String(describing: error))")
    }

    @Test func answersThatSomebodyChangedAreRefused() throws {
        try run([4, 2, 9])
        let changed = try contents("out.jsonl").replacing("不", with: "就", maxReplacements: 1)
        try changed.write(toFile: paths.answers, atomically: false, encoding: .utf8)
        let error = #expect(throws: LeafError.self) { try resumed() }
        #expect(error?.description.contains("was changed at byte 0") == true)
        #expect(try contents("out.jsonl") == changed)
    }

    @Test func answersWithoutAJobAreRefused() throws {
        try "{}\n".write(toFile: paths.answers, atomically: false, encoding: .utf8)
        for job in [nil, "nonsense\n"] {
            try job?.write(toFile: paths.job, atomically: false, encoding: .utf8)
            let error = #expect(throws: LeafError.self) { try resumed() }
            #expect(error?.description.contains("does not say which lines") == true)
        }
        #expect(try contents("out.jsonl") == "{}\n")
    }

    @Test func answersThatAreThereAreNotOverwritten() throws {
        try run([1])
        let error = #expect(throws: LeafError.self) { try run([2]) }
        #expect(error?.description.contains("exists") == true)
        #expect(try contents("out.jsonl") == lines([1]))
    }

    @Test func aFileThatHoldsSomethingElseIsNotTakenForErrors() throws {
        try "poems\n".write(toFile: folder.path("errors.jsonl"), atomically: false, encoding: .utf8)
        for resumes in [false, true] {
            #expect(throws: LeafError.self) { try run([1], resumes: resumes) }
            #expect(try contents("errors.jsonl") == "poems\n")
            #expect(!FilePath.exists(paths.answers) && !FilePath.exists(paths.job))
        }
    }

    /// Requests, answers, and what failed in another job.
    @Test(arguments: [
        #"{"id":1,"kind":"generate","prompt":"春"}"# + "\n", #"{"id":1,"error":"why"}"# + "\n", "\n", #"{"i"#,
    ])
    func onlyWhatFailedInTheJobIsGoneOnWith(held: String) throws {
        let errors = folder.path("errors.jsonl")
        try run([4])
        try held.write(toFile: errors, atomically: false, encoding: .utf8)
        #expect(throws: LeafError.self) { try run([1], resumes: true) }
        #expect(try contents("errors.jsonl") == held)
        #expect(try contents("out.jsonl") == lines([4]))
    }

    /// As a run leaves them that was killed, or had no such file.
    @Test func requestsThatFailedAreCompleted() throws {
        try run([4, 9, 6])
        let whole = lines([9, 6])
        for count in 0...whole.utf8.count {
            #expect(truncate(folder.path("errors.jsonl"), count) == 0)
            try run([], resumes: true)
            #expect(try contents("errors.jsonl") == whole)
        }
    }

    @Test func requestsThatFailedInAnotherJobStay() throws {
        for resumes in [false, true] {
            try lines([9]).write(toFile: folder.path("errors.jsonl"), atomically: false, encoding: .utf8)
            #expect(throws: LeafError.self) { try run([1], resumes: resumes) }
            #expect(try contents("errors.jsonl") == lines([9]))
            #expect(!FilePath.exists(paths.answers) && !FilePath.exists(paths.job))
        }
    }

    @Test func nothingStaysWhereTheAnswersCannotBeOpened() throws {
        try FileManager.default.createDirectory(atPath: paths.answers, withIntermediateDirectories: false)
        #expect(throws: LeafError.self) { try run([1], resumes: true) }
        #expect(!FilePath.exists(paths.job))
    }

    @Test func aJobBelongsToOneRun() throws {
        let log = try AnswerLog(paths, resumes: false)
        try log.begin(record)
        let error = #expect(throws: LeafError.self) { try resumed() }
        #expect(error?.kind == .io)
        #expect(error?.description.contains("in use by another run") == true)
        withExtendedLifetime(log) {}
    }

    @Test func nothingStaysOfAJobThatNeverBegan() throws {
        _ = try AnswerLog(paths, resumes: false)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == [])
    }

    /// The disk is full at any of the writes; the answers before stay whole, and a later run ends with the same bytes.
    @Test func aFullDiskLosesNothing() throws {
        for allowed in 0..<8 {
            removeFiles()
            var calls = WriteCalls()
            let left = Countdown(allowed)
            calls.write = { descriptor, bytes, count, offset in
                // Half of what does not fit is written.
                if left.take() { return pwrite(descriptor, bytes, count, offset) }
                return left.isJustOver ? pwrite(descriptor, bytes, count / 2, offset) : fail()
            }
            // Each answer by itself.
            let log = try AnswerLog(paths, resumes: false, calls: calls)
            do throws(LeafError) {
                try log.begin(record)
                for line in [1, 2, 3] {
                    try log.append(answer(line), line: line, isFailure: line == 3)
                    try log.flush()
                }
                #expect(allowed >= 8)
            } catch {
                #expect(error.kind == .io)
                #expect(error.description.contains("is full") && !error.description.contains("same command"))
            }
            let kept = try contents("out.jsonl")
            #expect(lines([1, 2, 3]).hasPrefix(kept) && (kept.isEmpty || kept.hasSuffix("\n")), "\(kept)")
        }
    }
}

private func fail() -> Int {
    errno = ENOSPC
    return -1
}
