package world

import "strings"

// The words that the world is made of. Every name stands in one list only, and
// a list belongs to one split, so that names of Held are never met in training.

// names is the first names of women and of men, and last names.
type names struct{ she, he, last []string }

// townNames are those of the town's people.
var townNames = names{
	she:  strings.Fields(`Mia Ada Ruth Nora Ivy Lena Elsa Tess Rosa June Clara Edith Greta Hanna Ida Julia Kira Lydia Mabel Nina Olive Paula Rita Stella Tilda Ursula Vera Wilma Yara Zoe Alma Bella Cora Dora Ella Flora Gina Heidi Irma Jana Karin Lotta Maud Nelly Orla Petra Rhea Sonja Thea Una Viola Wanda Agnes Berta Carla Doris Emma Fanny Hilda Ines`),
	he:   strings.Fields(`Tom Leo Finn Hugo Carl Omar Noah Paul Emil Max Adam Bruno Conrad David Edgar Felix Georg Henry Isak Jonas Karl Lars Martin Nils Otto Peter Ralf Simon Theo Ulrich Victor Walter Yuri Anton Boris Casper Dennis Erik Frank Gregor Hans Igor Jacob Klaus Linus Marco Norbert Oscar Philip Robert Stefan Tobias Urban Vincent Werner Alfred Bernard Clemens Dominic Edwin`),
	last: strings.Fields(`Fenwick Barlow Castell Dunmore Ellery Farrow Garland Hollis Ingram Jarvis Kendal Lindqvist Merton Norwood Oakes Penrose Quill Radley Selby Tarrant Upton Vance Wexford Yardley Ashby Birch Colby Draper Emsley Forster Gilroy Harwood Innes Jessop Kirby Lowell Maddox Nettle Orton Pryor Rowan Sutton Thorne Underhill Vickers Weller Abbott Brandt Corwin Dalton Easton Frost Granger Hobbs Irving Joyce Kemp Lambert Morrow Nolan`),
}

// strangers are names for passages: of people who live in no town.
var strangers = [2]names{
	{ // Train
		she:  strings.Fields(`Anja Beth Celia Dana Elin Freya Gerda Helga Ingrid Jess Katja Laura Marta Nadia Oda Pia Rachel Sara Tamara Ulla Vivian Wendy Xenia Yvonne Zita Astrid Bianca Cleo Diana Esther Faye Gloria Hazel Iris Jolanda Kristin Linnea Mona Noemi Odette Phoebe Regina Selma Tanja Verena Winnie`),
		he:   strings.Fields(`Arno Ben Cyril Duncan Elias Floyd Glen Harald Ivan Joel Kurt Luke Milo Ned Olaf Pascal Quinn Rudi Sven Tim Ugo Volker Wayne Xaver Yannick Zeno Axel Bernd Cedric Derek Emanuel Frederik Gustav Henrik Ivo Julian Kilian Leonard Moritz Nathan Orlando Patrick Rasmus Samuel Tristan Valentin`),
		last: strings.Fields(`Alder Bexley Cutler Dyson Everly Finch Gorman Halvor Ilford Jansen Keller Larkin Mercer Nash Olsen Parrish Quigley Redfern Stroud Tilling Usher Varley Wilder Young Zeller Archer Bolton Carver Denholm Enders Fuller Gable Huxley Isham Jordan Kestrel Lorimer Mallory Nugent Osborn Piper Ramsey Sandler Trevor Unwin Vogel Wingate Zorn Bramley Cowan`),
	},
	{ // Held
		she:  strings.Fields(`Adele Brenda Carmen Delia Erika Frida Gwen Holly Ilona Jenny Kim Lucia Monika Naomi Olga Pamela Renate Sofia Tina Ulrike Valerie Wiebke Zara Amelie Bettina Corinna Daphne Eleni Fiona Gudrun`),
		he:   strings.Fields(`Albert Basil Colin Damian Ernst Fabian Gilbert Harvey Ingo Jasper Kaspar Lorenz Magnus Niklas Oliver Piet Roland Sascha Thomas Uwe Viktor Wendel Zacharias Armin Benno Claus Detlef Eugen Falk Gerald`),
		last: strings.Fields(`Amsel Brewster Cromwell Delaney Eastwick Fulton Greer Hartley Ivers Jennings Kilburn Langley Mortimer Newell Ogden Pickett Raleigh Sheldon Tyrell Urquhart Vesper Whitlock Yates Zimmer Aldous Benbow Chandler Dempsey Elgar Fairfax`),
	},
}

// syllables make names that nobody has heard; splitOf says whose they are.
var syllables = [3][]string{
	strings.Fields(`Bal Bren Cal Dar Del Dor El Fal Fen Gal Gor Hal Hel Jor Kal Kel Lor Mal Mel Mor Nal Nor Or Pel Ral Ros Sal Sil Tal Tor Val Vor Wil Yor Zan`),
	strings.Fields(`a e i o u an en in ar er or al el il am em as es is`),
	strings.Fields(`bar bin dan den dor fin gar kan lan len lin mar min mon nar nen nor ra ran ren ric rin rod san sen ta tan ten ton van ven win`),
}

// coinedFrom are plain words whose letters, beside those of the names of Train,
// show how coined names are spelled; rudeWords are what they must not spell.
var (
	coinedFrom = strings.Fields(`acre afternoon alley almanac ankle apron arrow autumn bacon balcony bamboo barn basin bench berry blossom bonnet border bottle bracelet branch breeze brick bristle bronze brook bubble buckle bundle
		cabin cable candle canvas carpet carriage cellar chalk chamber channel charcoal chest chimney cinder circle cliff cloak cloud coast cobweb collar colonel column copper coral corner cottage cotton couch cradle crane creek crescent crystal
		curl cypress daffodil dairy dawn desk diamond ditch dough dragonfly drawer dream drizzle dusk eagle earth echo elbow ember engine evening fabric falcon fancy farthing fiddle field finger flannel flint flock flute forge fountain fringe
		gable gallery gander garlic gate glacier glimmer globe glove granite grape gravel grove guitar gulf hail hammock handle harness harp harvest haystack heather hinge hollow hound icicle inkwell island ivory jasmine jewel jungle juniper kernel kitchen knapsack
		knuckle lagoon lake lattice laurel leather ledge lemon lettuce lighthouse lilac linen lizard lodge lumber magnet mantle marble market marsh meadow mill mirror mitten monsoon moss mountain muslin mustard narrow nettle night nightingale nutshell
		oar oat ocean olive orchard orchid otter oven owl oxen paddle palace panther parcel parlour parsley parsnip path pebble pepper petal phantom pheasant picnic pigeon pillar pine plank platter plough plum pocket pond poplar porch porridge prairie puddle pulley
		quarry quarter quiver raft rainbow rapid rattle ravine reed reindeer ridge ripple river robin rocket rudder saddle sail sandal sapphire satchel scallop schooner scissors seaweed shadow shelter shepherd shingle shore shutter sickle silk skipper sleigh
		slope smith snowdrop spade spark sparrow spice spindle sprout squash stable starling steeple stork straw stream summit swallow sycamore table tailor tangle tassel temple thatch thicket thimble thread throne thunder timber torch tortoise towel trellis
		trout trunk tunnel turnip turret twig twilight valley velvet vessel village vine walnut wander warble water weather wharf wheat whistle willow winter wisdom wool wren wrinkle yard yarrow yeast zephyr`)
	rudeWords = strings.Fields(`anal anus arse bastard bitch boob bum clit cock coon cum cunt damn dick dyke fag fart fuck gook heil hell hitl homo jew kike kkk lust nazi nig paki pee penis piss
		poo porn prick puss queer rap rape semen sex shag shit slag slut spic suck tit turd twat urin vagin vulv wank whor`)
)

// streetWords make street names with streetKinds, pet names and shop names are
// lists: of the town, of passages for training, and held out.
var (
	streetKinds = strings.Fields(`Lane Street Row Road`)
	townStreets = [2][]string{
		{"Heron Lane", "Mill Street", "Church Row", "Quay Street", "Willow Lane", "Bell Street", "Orchard Road", "Bridge Street", "Candle Row", "Fox Lane", "Market Street", "Well Lane", "Harbour Road", "Rose Street", "Tower Lane", "Garden Row"},
		{"Falcon Lane", "Cedar Street", "Abbey Row", "Dock Street", "Hawthorn Lane", "Anvil Street", "Meadow Road", "Canal Street"},
	}
	streetWords = [2][]string{
		strings.Fields(`Copper Badger Linden Cherry Poplar Saddler Salt Swan Raven Wagon Barley Clover Elm Lantern Pebble Kiln Hazel Fern Otter Ferry Silver King Queen Castle Forest Stone`),
		strings.Fields(`Juniper Magpie Maple Cobble Tanner Juno Thistle Walnut Brewer Beech Stork Ivory Chapel Gravel Prince Sparrow Violet Turner`),
	}
	petNames = [3][]string{
		strings.Fields(`Biscuit Shadow Pepper Clove Button Sunny Pebbles Maxi Ginger Dot Rusty Snow Bramble Daisy Smoke Poppy Acorn Misty Nutmeg Star Pickle Mittens Bandit Socks Cocoa Waffle Tiger Lucky Rocket Fluffy Toffee Marble Noodle Patches Domino Muffin Raisin Sparky Truffle Velvet Whisper Zigzag Bubbles Crumb Dusty Feather Gizmo Honeybun Inky Jelly Kiwi Lemon Mango Nibbles Olli Peanut Quickie Ruffle Sesame Tinker Umbra Vanilla Widget Yoyo Ziggy Bongo Cricket Dandy Echo Fidget`),
		strings.Fields(`Captain Comet Dizzy Figaro Goldie Happy Hopper Jazz Lulu Merlin Mimi Momo Nemo Oreo Pirate Pixie Pluto Pudding Rambo Salty Scout Silky Snowy Spot Tango Twist Wolfie Zebra`),
		strings.Fields(`Almond Buster Caramel Dumpling Flash Gismo Hazelnut Juno Koko Latte Mocha Nugget Paprika Rumble Sputnik Tofu`),
	}
)

// splitOf says which split a made-up name belongs to: one in four is held out.
func splitOf(name string) Split {
	if hash(7, name)%4 == 0 {
		return Held
	}
	return Train
}

// The values of facts. They belong to both splits: only names are held out.
var (
	animals = strings.Fields("dog cat horse rabbit parrot goat duck goose hamster tortoise donkey pony canary")
	foods   = []string{"pear cake", "fresh bread", "tomato soup", "cheese", "potato salad", "plum jam", "fish soup", "honey cake", "apple pie", "potato pie", "onion tart", "rice pudding", "bean stew", "lemon cake", "mushroom pie", "roast chicken", "carrot soup", "noodle soup", "cherry tart", "egg salad", "nut bread", "vanilla pudding", "pea soup", "blueberry jam"}
	hobbies = []string{"playing the flute", "flying kites", "reading stories", "swimming", "drawing maps", "singing", "climbing trees", "playing chess", "painting birds", "dancing", "fishing", "collecting stones", "growing roses", "riding a bicycle", "playing the drum", "knitting scarves", "baking cakes", "watching stars", "writing poems", "rowing", "playing cards", "making candles", "running", "taking photographs"}
	months  = strings.Fields("January February March April May June July August September October November December")
	sights  = []string{"its great wooden wheel", "its three blue doors", "its slow clock", "its old pear trees", "its round tower", "its glass roof", "its five arches", "its golden weathercock", "its painted ceiling", "its deep well", "its warm water", "its big bell", "its stone lions", "its collection of maps", "its long staircase", "its red bricks", "its white columns", "its tame otters", "its singing fountain", "its rose garden", "its wide windows", "its secret door", "its wooden dragon", "its view of the river", "its tall chimney", "its copper roof"}
)

// trade is a kind of shop, its owner's job, and what it can sell.
type trade struct {
	kind, job string
	goods     []string
	prices    [2]int // cheapest and dearest, in coins
}

var trades = []trade{
	{"bakery", "baker", strings.Fields("rye_loaf wheat_loaf pretzel honey_bun nut_cake apple_pie poppy_roll"), [2]int{2, 12}},
	{"bookshop", "bookseller", strings.Fields("map diary cookbook picture_book book_of_poems travel_guide dictionary"), [2]int{6, 30}},
	{"fruit shop", "fruit seller", strings.Fields("basket_of_pears bag_of_apples bunch_of_grapes melon box_of_plums bag_of_nuts lemon"), [2]int{2, 14}},
	{"fish shop", "fishmonger", strings.Fields("trout herring pike crab plate_of_shrimps eel"), [2]int{4, 20}},
	{"toy shop", "toy maker", strings.Fields("kite wooden_horse doll puzzle top toy_boat ball"), [2]int{3, 25}},
	{"flower shop", "florist", strings.Fields("bunch_of_roses tulip sunflower pot_of_ivy wreath lily"), [2]int{2, 15}},
	{"hat shop", "hatter", strings.Fields("straw_hat woollen_cap top_hat sun_hat felt_hat scarf"), [2]int{8, 40}},
	{"shoe shop", "shoemaker", strings.Fields("leather_belt boot_brush pair_of_boots pair_of_sandals pair_of_slippers tin_of_polish"), [2]int{5, 45}},
	{"tea house", "tea maker", strings.Fields("pot_of_tea cup_of_cocoa scone slice_of_cake glass_of_lemonade sandwich"), [2]int{2, 12}},
	{"sweet shop", "sweet maker", strings.Fields("bag_of_toffees candy_stick box_of_chocolates jar_of_honey lollipop sugar_mouse"), [2]int{2, 16}},
	{"tool shop", "ironmonger", strings.Fields("hammer saw lamp bucket ladder box_of_nails rope"), [2]int{4, 35}},
	{"music shop", "instrument maker", strings.Fields("flute drum whistle violin song_book harmonica"), [2]int{6, 60}},
	{"cheese shop", "cheesemaker", strings.Fields("goat_cheese jug_of_milk block_of_butter blue_cheese pot_of_cream smoked_cheese"), [2]int{3, 18}},
	{"clock shop", "clockmaker", strings.Fields("alarm_clock wall_clock watch sand_glass watch_chain kitchen_clock"), [2]int{7, 70}},
	{"pottery", "potter", strings.Fields("teapot vase soup_bowl flower_pot plate milk_jug"), [2]int{3, 24}},
}

// shopWords make the names of shops: the Golden Crumb. The nouns are of the
// town, of passages for training, and held out.
var (
	shopAdjectives = strings.Fields("Golden Blue Merry Little Old Green Red Lucky Round Silver White Happy Black Busy Quiet")
	shopNouns      = [3][]string{
		strings.Fields("Crumb Kettle Owl Anchor Basket Spoon Thimble Whale Cricket Lantern Barrel Acorn Pumpkin Windmill Horseshoe Parasol Beetle Compass Drum Elephant Feather Goose Hedgehog Iris Jug Key Ladder Mitten Nest Oyster"),
		strings.Fields("Apple Bee Camel Door Engine Frog Giant Hammer Island Jacket Kite Leaf Moon Needle Onion Pearl Quilt Ribbon Saddle Tulip Umbrella Violin Wagon Yarn"),
		strings.Fields("Dolphin Pelican Teapot Candlestick Mermaid Snail Acrobat Walrus Cushion Pineapple Badge Lobster Cupboard Squirrel Trumpet Unicorn"),
	}
)

// site is a kind of place and the jobs there; names are of Train and of Held.
type site struct {
	kind  string
	names [2]string
	jobs  []string
}

var sites = []site{
	{"mill", [2]string{"the Old Mill", "the Wind Mill"}, []string{"miller", "carter"}},
	{"school", [2]string{"the River School", "the Harbour School"}, []string{"teacher", "school cook", "music teacher"}},
	{"station", [2]string{"the Central Station", "the Southgate Station"}, []string{"station master", "porter", "train driver"}},
	{"museum", [2]string{"the Clock Museum", "the Whaling Museum"}, []string{"guide", "curator"}},
	{"library", [2]string{"the Town Library", "the Abbot Library"}, []string{"librarian", "bookbinder"}},
	{"hospital", [2]string{"the Willow Hospital", "the Saint Lucas Hospital"}, []string{"doctor", "nurse", "cook"}},
	{"park", [2]string{"the Pear Park", "the Deer Park"}, []string{"gardener", "park keeper"}},
	{"bridge", [2]string{"the Stone Bridge", "the Chain Bridge"}, []string{"bridge keeper"}},
	{"post office", [2]string{"the Post Office", "the Parcel Hall"}, []string{"letter carrier", "clerk"}},
	{"town hall", [2]string{"the Town Hall", "the Guild Hall"}, []string{"record keeper", "town clerk"}},
	{"theatre", [2]string{"the Otter Theatre", "the Phoenix Theatre"}, []string{"actor", "singer"}},
	{"boatyard", [2]string{"the Boatyard", "the Shipyard"}, []string{"boat builder", "sailmaker"}},
	{"church", [2]string{"the Church of the Bell", "the Chapel of Saint Odo"}, []string{"bell ringer", "organist"}},
	{"farm", [2]string{"the Hill Farm", "the Moor Farm"}, []string{"farmer", "beekeeper", "shepherd"}},
	{"ferry landing", [2]string{"the Ferry Landing", "the North Pier"}, []string{"ferry pilot", "fisher"}},
	{"swimming bath", [2]string{"the Swimming Bath", "the Salt Bath"}, []string{"swimming teacher", "guard"}},
	{"fire house", [2]string{"the Fire House", "the Pump House"}, []string{"firefighter"}},
	{"printing house", [2]string{"the Printing House", "the Press House"}, []string{"printer", "reporter"}},
	{"glass works", [2]string{"the Glass Works", "the Brick Works"}, []string{"glass blower", "painter"}},
	{"inn", [2]string{"the Travellers' Inn", "the Pilgrims' Inn"}, []string{"innkeeper", "waiter"}},
	{"tower", [2]string{"the Round Tower", "the Powder Tower"}, []string{"tower guard"}},
	{"school of music", [2]string{"the School of Music", "the School of Dance"}, []string{"piano teacher", "dance teacher"}},
	{"market hall", [2]string{"the Market Hall", "the Linen Hall"}, []string{"market trader", "weigher"}},
	{"forest house", [2]string{"the Forest House", "the Hunters' Lodge"}, []string{"forester", "woodcutter"}},
}

// journeys are trips: where to, in Train and Held, and by what.
var journeys = []struct {
	to [2]string
	by string
}{
	{[2]string{"Larkmoor", "Stavering"}, "bus"}, {[2]string{"Seal Island", "Gull Island"}, "boat"}, {[2]string{"Hartwell", "Pinsford"}, "train"},
	{[2]string{"the Blue Lake", "the Mirror Lake"}, "bus"}, {[2]string{"Copperhill", "Tinhill"}, "train"}, {[2]string{"the Bee Valley", "the Moth Valley"}, "coach"},
	{[2]string{"Saltmouth", "Brinemouth"}, "boat"}, {[2]string{"the Witch Rock", "the Monk Rock"}, "coach"},
}

// dishNames are recipes, for Train and Held.
var dishNames = [2][]string{
	{"pear cake", "tomato soup", "potato salad", "honey cake", "onion tart", "bean stew", "lemon cake", "mushroom pie", "nut bread", "cherry tart"},
	{"almond cake", "turnip soup", "fig tart", "walnut bread"},
}

// feasts are events, for Train and Held.
var feasts = [2][]string{
	{"the Pear Fair", "the Lantern Night", "the Boat Race", "the Otter Parade", "the Bread Day", "the Snow Dance", "the Kite Sunday", "the Song Contest", "the Clock Feast", "the Harvest Supper"},
	{"the Mussel Fair", "the Torch Walk", "the Raft Race", "the Mask Parade"},
}

// stuff are ingredients that are counted.
var stuff = []string{"eggs", "cups of flour", "spoons of sugar", "cups of milk", "spoons of butter", "pinches of salt", "onions", "carrots", "spoons of honey", "potatoes"}
