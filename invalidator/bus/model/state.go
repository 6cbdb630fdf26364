package model

// Bounds of a run.
const (
	maxProxies = 3
	maxWrites  = 2
	maxEvents  = 20
)

// none is no value.
const none = -1

// Kinds of events in the log; the write is in the lower bits.
const (
	eventFence   = 0x10
	eventRelease = 0x20
	eventAll     = 0x30
	eventJoin    = 0x40 // in worlds with late proxies only
	eventKind    = 0xf0
)

// stage is how far a write is.
type stage uint8

const (
	stageIdle      stage = iota
	stageFenced          // in its own process
	stageAnnounced       // its fence is in the log
	stageSent            // upstream: it may commit at any time
	stageCommitted
	stageReleased
	stageOver // acknowledged, or never to happen
)

// write is one write; its owner is fixed by its number.
type write struct {
	stage   stage
	waits   uint8 // members of when it was announced
	event   uint8 // the log's length after its fence
	version int8  // what it wrote, once committed
	alone   bool  // it went on without the log
	queued  bool  // it did not wait, and what it has to say is not in the log yet
}

// proxy is one process.
type proxy struct {
	member  bool // in its own eyes
	live    bool // by its own clock
	epoch   uint8
	applied uint8
	trusts  uint8 // whom it takes for heard by Redis
	dead    uint8 // of whom it knows that nothing will come any more
	fences  uint8 // writes
	pending uint8 // its own writes whose end it has not read
	tell    bool  // it wrote without the log
	knows   bool  // not strict itself, it knows that others are
	vouched bool  // it has said that its writes wait, and may be trusted because of that
	witness bool  // it has heard a witness since it joined, or is the first
	watched uint8 // nothing from before this event is fresh
	cache   int8

	fill      int8 // 0: none, 1: stamped, else 2 + value
	fillOK    bool // the stamp holds
	fillL2    bool // the value is from L2
	fillLive  bool
	fillAt    uint8
	fillEpoch uint8
	fillFloor int8

	hit      int8 // 0: none, 1: begun
	hitOK    bool
	hitValue int8
	hitFloor int8
}

// state is the whole world.
type state struct {
	database int8
	known    int8 // the newest version that somebody has seen or was told
	own      [maxProxies]int8
	versions int8

	epoch   uint8
	log     [maxEvents]uint8
	length  uint8
	open    uint8 // fences that are up in the fleet
	members uint8
	vouches uint8 // members that say that their writes wait, since the last one joined

	l2, l2At, l2Epoch     int8
	crashed, cut          uint8
	absent                uint8 // not started yet
	witnesses, floor      uint8
	crashes, cuts, losses uint8 // that may still happen

	proxies [maxProxies]proxy
	writes  [maxWrites]write
}

// Without is a step of the protocol that is left out.
type Without uint8

// Steps.
const (
	Nothing          Without = iota
	FenceWait                // a write is sent upstream before the members have applied its fence
	StampFirst               // the stamp is taken after the query
	LeaseCheck               // hits don't look at the lease
	LeaseBeforeStamp         // they look at it after the stamp
	EpochWait                // a writer does not wait for the leases of an epoch before
	InvalidateAtJoin         // a member keeps what it had cached
	FencesAtJoin             // it does not learn which fences are up
	AnnounceAtJoin           // it does not announce its own
	AloneWait                // a process that lost Redis writes at once
	AllAfterAlone            // it does not say that it wrote without the log
	Trust                    // its silence is not noticed
	FencesOfDead             // the fences of a silent member are taken down
	SettleDead               // a dead process is forgotten though a write of it goes on
	TrustOfAnswers           // a beat that Redis hears late vouches for a member
	Position                 // L2 is believed without a look at the log
	PendingOwn               // a process forgets its own writes until it reads of them
	TellOfEnds               // a write that ended while its process was no member is not told of
	InvalidateAtEnd          // the end of a fence does not invalidate
	Floor                    // the first one after a time without witnesses believes what is older
	WitnessBeat              // a witness that is silent vouches for a joiner
	MembersInOneStep         // the members to wait for are read before the fence is in the log
	Vouch                    // who does not say that its writes wait is trusted
	VouchAfterLog            // it says so while what did not wait is not in the log
)

// Options are what a run may do.
type Options struct {
	Proxies, Writes       int
	Crashes, Cuts, Losses uint8
	Readers               uint8 // who reads out of the cache, a bit for each
	Lax                   uint8 // who is not strict, a bit for each; the others come later
	Late                  uint8 // who starts later, a bit for each; then leases do not lapse, and the row changes past all of them while none runs
	L2                    bool
	Session               bool // writes wait for nobody, hits ask nobody; each process must see its own writes
	Without               Without
	Limit                 int // states
}

// Result is what a run found.
type Result struct {
	States    int
	Violation string   // "" for none
	Trace     []string // steps to it
	Complete  bool
}
