import Foundation
import LeafSystem
import Testing

@Suite("limits on addresses") struct AddressLimitTests {
    private func reports(space: Int? = nil, data: Int? = nil, hasProc: Bool = true) -> KernelReports {
        let files = hasProc ? ["/proc/self/status": "Name:\tx\nVmSize:\t  10240 kB\nVmData:\t  2048 kB\n"] : [:]
        var reports = KernelReports { files[$0] }
        reports.limits = { KernelReports.Limits(addressSpace: space, data: data, stack: 8 << 20) }
        reports.peakBytes = { 1 << 20 }
        return reports
    }

    @Test func whatIsMappedIsTakenFromEachLimit() {
        let both = AddressLimit.current(reports(space: 32 << 20, data: 4 << 20))
        #expect(
            both == [
                AddressLimit(kind: .all, bytes: 32 << 20, used: 10 << 20),
                AddressLimit(kind: .data, bytes: 4 << 20, used: 2 << 20),
            ])
        #expect(AddressLimit.room(reports(space: 32 << 20, data: 4 << 20)) == 2 << 20)
        #expect(AddressLimit.room(reports(space: 1 << 20)) == 0)
        #expect(AddressLimit.stack(reports()) == 8 << 20)
    }

    /// A chroot has no `/proc`, and its limits hold all the same.
    @Test func limitsNeedNoProc() {
        let reports = reports(space: 32 << 20, hasProc: false)
        #expect(AddressLimit.current(reports) == [AddressLimit(kind: .all, bytes: 32 << 20, used: 1 << 20)])
        #expect(AddressLimit.stack(reports) == 8 << 20)
    }

    /// The shell's limit, and no number of a file.
    @Test func theSystemsLimitsAreThoseOfTheShell() {
        var stack = rlimit()
        getrlimit(Int32(RLIMIT_STACK.rawValue), &stack)
        #expect(AddressLimit.stack() == (stack.rlim_cur == rlim_t.max ? nil : Int(stack.rlim_cur)))
        #expect(AddressLimit.stack(.under("/nowhere")) == AddressLimit.stack())
    }

    @Test func withoutALimitNothingIsRefused() throws {
        #expect(AddressLimit.current(reports()).isEmpty)
        for reports in [reports(), KernelReports { _ in nil }] {
            #expect(AddressLimit.room(reports) == nil)
            try AddressLimit.check(.max, for: "this model", reports)
        }
    }

    @Test func theSentenceNamesTheLimitAndWhatWouldDo() throws {
        let space = reports(space: 32 << 20)
        try AddressLimit.check(22 << 20, for: "this model", space)
        let error = #expect(throws: LeafError.self) {
            try AddressLimit.check((22 << 20) + 1, for: "this model", space)
        }
        #expect(error?.kind == .budget)
        #expect(
            error?.description
                == "the limit on address space (ulimit -v) is 32.0 MiB, and 33 MiB are needed for this model; raise it")
        let data = #expect(throws: LeafError.self) {
            try AddressLimit.check(.max, for: "this model", reports(data: 4 << 20))
        }
        #expect(data?.description.hasPrefix("the limit on data (ulimit -d) is 4.0 MiB") == true)
    }
}
