"""Common English words that prompts are made of: plain ASCII, lower case, no two alike."""

_TEXT = """
able about above accept across action active actual add address after again against age agree air all allow almost
alone along already also always amount ancient animal another answer appear apple area arm around arrive art ask
autumn away baby back ball bank base basic bear beat beautiful become before begin behind believe below benefit
best better between beyond big bird black block blood blue board boat body book born both bottom bowl box boy
branch brave bread break bridge bright bring broad brother brown build burn busy butter button buy cabin call
camera camp capital captain car care carry castle catch cause cell center central century certain chair chance
change charge cheap check child choice choose church circle city claim class clean clear climb clock close cloth
cloud coast coat coffee cold collect color come common company compare complete concern condition consider
contain control cook cool copper copy corn corner correct cost cotton count country course cover create cross
crowd culture cup current cut daily dance danger dark daughter day deal dear decide deep degree deliver depend
describe desert design desk detail develop different difficult dinner direct discover distance divide doctor door
double doubt down draw dream dress drink drive drop dry during dust each ear early earth east easy edge effect
effort eight either electric else empty end energy engine enjoy enough enter equal even evening event ever every
exact example except exercise expect explain express eye face fact fall familiar family famous far farm fast
father favor fear feed feel fence few field fight figure fill final find fine finger finish fire first fish five
flat floor flow flower fly follow food foot force foreign forest forget form forward four free fresh friend from
front fruit full future garden gas gather general gentle girl give glad glass goal gold good govern grand grass
gray great green ground group grow guess guide hair half hand happen happy harbor hard have head health hear heart
heat heavy height help here high hill history hold hole home honest hope horse hospital hot hotel hour house human
hundred hunt hurry ice idea imagine important inch include increase industry inside interest invite iron island
item join journey joy judge jump just keep key kind king kitchen know lady lake land language large last late
laugh law lead leaf learn least leather leave left leg lend length less lesson letter level library lie life lift
light like limit line lion liquid list listen little live local long look lose loud love low lucky machine main
major make manner many map mark market master matter maybe meal mean measure meat medicine meet melody member
memory mention metal method middle might mile milk mind minute mirror mix modern moment money month moon more
morning mother motion mountain mouth move music name narrow nation nature near neck need neighbor never new news
next night nine noise north note nothing notice now number object ocean offer office often oil old once one open
opinion orange order ordinary other outside oven over own page paint pair paper parent park part party pass past
path pattern pay peace pencil people perfect perhaps period person picture piece place plain plan plant plate play
please point poor position possible potato pour power practice prepare present press pretty price print private
problem produce promise proper protect proud provide public pull pupil pure push put quality quarter queen
question quick quiet quite race radio rain raise range rather reach read ready real reason receive record red
region regular remain remember repeat reply report rest result return rice rich ride right ring rise river road
rock roll roof room root rope rough round row rule run safe sail salt same sand save say scale school science sea
search season seat second secret see seed seem sell send sense serve settle seven several shade shadow shape share
sharp sheep shelf shine ship shirt shoe shop shore short shoulder show side sight sign silent silver similar
simple since sing single sister sit six size skill skin sky sleep slow small smell smile smoke smooth snow social
soft soil solid some song soon sort sound south space speak special speed spell spend spot spread spring square
stage stand star start state station stay steam steel step still stone stop store storm story strange stream
street strong study subject sudden sugar suit summer sun supply support sure surface sweet swim symbol system
table take talk tall taste teach team tell ten tent term test thank thick thin thing think third thought thousand
thread three through ticket tie tiger time tiny title today together tomorrow tool top total touch toward town
track trade train travel tree trip true trust try turn twelve type under unit until upon usual valley value
various very view village visit voice wait walk wall want warm wash watch water wave way wealth wear weather week
weight welcome west wheel when where white whole wide wild wind window winter wire wise wish wonder wood word work
world worry worth write yard year yellow yesterday yet young zero
"""

WORDS = tuple(_TEXT.split())
