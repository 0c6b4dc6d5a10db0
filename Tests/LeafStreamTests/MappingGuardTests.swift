import Foundation
import LeafFormat
import LeafStream
import LeafSystem
import Testing

/// What happens when pages of a mapped file go while they are in use. SIGBUS is a matter of the whole process, so each
/// test that changes its handler has a process of its own.
@Suite("mapping guard", .serialized) struct MappingGuardTests {
    private static func store(_ model: TestModel, isGuarded: Bool = true) throws -> BlockStore {
        let chunks = model.file.chunks
        let plan = try MemoryPlan(budget: 1 << 30, chunks: chunks, reserved: nothingReserved)
        return try BlockStore(
            file: model.file, plan: plan, reading: .init(mode: .map, guardsMapping: isGuarded), consumers: 1,
            system: .here)
    }

    private static func model() throws -> TestModel {
        try TestModel(sizes: [Int](repeating: 20_000, count: 8), seed: 1)
    }

    /// Cuts the file while a lease of its bytes is there.
    /// - Returns: whether the bytes read as zeros.
    private static func cut(_ model: TestModel, under store: BlockStore) throws -> Bool {
        let lease = try store.lease(3)
        #expect(truncate(model.file.path, 4096) == 0)
        return lease.bytes.withUnsafeBytes { $0.allSatisfy { $0 == 0 } }
    }

    @Test func aFileThatIsCutWhileItsBytesAreInUseIsAnError() throws {
        let model = try Self.model()
        let store = try Self.store(model)
        // What is gone reads as zeros; nobody may use what comes of it.
        #expect(try Self.cut(model, under: store))
        let error = #expect(throws: LeafError.self) { try store.settle() }
        #expect(error?.description == "\(model.file.path) was cut short while it was in use; copy it or make it again")
        #expect(error?.exitCode == 1)
    }

    /// As after an error of the disk: the file is as long as ever.
    @Test func aPageThatIsGoneFromAWholeFileIsNotCalledCut() throws {
        let model = try Self.model()
        let store = try Self.store(model)
        #expect(try Self.cut(model, under: store))
        #expect(truncate(model.file.path, off_t(model.file.fileBytes)) == 0)
        let error = #expect(throws: LeafError.self) { try store.settle() }
        #expect(error?.description.hasPrefix("\(model.file.path) could not be read while it was in use") == true)
    }

    @Test func aGuardThatIsUsedAgainKnowsNothingOfTheLastMapping() throws {
        for _ in 0..<70 {
            let model = try Self.model()
            let store = try Self.store(model)
            #expect(try Self.cut(model, under: store))
        }
        let store = try Self.store(try Self.model())
        try store.settle()
    }

    @Test func tooManyGuardsAreAnErrorAndLeaveTheOthersAlone() throws {
        let model = try Self.model()
        var stores: [BlockStore] = []
        var refused: LeafError?
        while refused == nil, stores.count < 100 {
            do {
                stores.append(try Self.store(model))
            } catch {
                refused = error as? LeafError
            }
        }
        #expect(refused?.description.contains("too many mapped models") == true)
        stores.removeLast()
        _ = try Self.store(model)
    }

    @Test func withoutAGuardItEndsTheProcessAsAnyMappedFileDoes() async {
        await #expect(processExitsWith: .signal(SIGBUS)) {
            let model = try MappingGuardTests.model()
            let store = try MappingGuardTests.store(model, isGuarded: false)
            _ = try MappingGuardTests.cut(model, under: store)
        }
    }

    @Test func withoutAGuardNoHandlerIsInstalled() async {
        await #expect(processExitsWith: .success) {
            _ = try MappingGuardTests.store(try MappingGuardTests.model(), isGuarded: false)
            var action = sigaction()
            sigaction(SIGBUS, nil, &action)
            guard action.__sigaction_handler.sa_handler == nil else { exit(1) }
        }
    }

    @Test func aSignalFromOutsideEndsTheProcess() async {
        await #expect(processExitsWith: .signal(SIGBUS)) {
            let store = try MappingGuardTests.store(try MappingGuardTests.model())
            kill(getpid(), SIGBUS)
            usleep(100_000)
            try store.settle()
        }
    }

    @Test func aSignalFromOutsideGoesToTheProgramsOwnHandlerAndTheGuardStays() async {
        await #expect(processExitsWith: .exitCode(77)) {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { _ in _ = write(STDERR_FILENO, "", 0) }
            sigaction(SIGBUS, &action, nil)
            let model = try MappingGuardTests.model()
            let store = try MappingGuardTests.store(model)
            kill(getpid(), SIGBUS)
            usleep(20_000)
            kill(getpid(), SIGBUS)
            usleep(20_000)
            guard try MappingGuardTests.cut(model, under: store) else { exit(1) }
            do { try store.settle() } catch { exit(77) }
        }
    }

    @Test func aGuardThatWasTakenAwayIsInstalledAgain() async {
        await #expect(processExitsWith: .exitCode(77)) {
            let first = try MappingGuardTests.store(try MappingGuardTests.model())
            signal(SIGBUS, SIG_DFL)
            let model = try MappingGuardTests.model()
            let second = try MappingGuardTests.store(model)
            guard try MappingGuardTests.cut(model, under: second) else { exit(1) }
            try first.settle()
            do { try second.settle() } catch { exit(77) }
        }
    }
}
